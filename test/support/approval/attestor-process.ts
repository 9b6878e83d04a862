import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { createRpcClient, type RpcClient } from "#common/rpc/client.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { noteStarted } from "../../../cli/test/started.ts";
import { listening } from "../clearing/process.ts";
import { nodeEnvironment } from "../process/node-environment.ts";
import type { TokenIssuer } from "../rpc/token-issuer.ts";

/** The Attestor as a process of its own, spoken to by gRPC. */
export interface AttestorProcess {
  /** A client whose tokens have a scope and a subject. */
  connect(scope: string, subject: string): RpcClient<typeof AttestorService>;
  /** Ends it with SIGKILL, as a crash does. */
  kill(): Promise<void>;
}

const main = fileURLToPath(new URL("../../../services/attestor/main.ts", import.meta.url));

/** Starts the Attestor's main.ts on ports of its own. */
export async function startAttestorProcess(
  environment: Readonly<Record<string, string>>,
  issuer: TokenIssuer,
): Promise<AttestorProcess> {
  const child = spawn(process.execPath, [main], {
    env: {
      ...process.env,
      ...nodeEnvironment(),
      ...environment,
      JWT_JWKS_FILE: issuer.jwksPath,
      GRPC_ADDRESS: "127.0.0.1:0",
      CONNECT_ADDRESS: "127.0.0.1:0",
      METRICS_ADDRESS: "127.0.0.1:0",
      LOG_FORMAT: "json",
      LOG_LEVEL: "info",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  noteStarted("service");
  const endWithTest = () => void child.kill("SIGKILL");
  process.once("exit", endWithTest);
  child.once("exit", () => process.off("exit", endWithTest));
  const address = await listening(child);
  const clients: RpcClient<typeof AttestorService>[] = [];
  return {
    connect(scope, subject) {
      const client = createRpcClient(AttestorService, {
        address,
        token: () => issuer.token({ scope, subject }),
        defaultTimeoutMs: 60_000,
      });
      clients.push(client);
      return client;
    },
    async kill() {
      if (child.exitCode === null && child.signalCode === null) {
        const exited = once(child, "exit");
        child.kill("SIGKILL");
        await exited;
      }
      for (const client of clients) client[Symbol.dispose]();
    },
  };
}
