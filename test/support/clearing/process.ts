import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { formatAttestation, formatIntent } from "#common/intent/codec.ts";
import { createRpcClient, type RpcClient } from "#common/rpc/client.ts";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { ClearingState } from "#gen/sovr/clearing/v1/clearing_pb.ts";
import {
  ClearingService,
  type ClearRequest as ClearRequestProto,
  ClearRequestSchema,
  type ClearResult,
} from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { noteStarted } from "../../../cli/test/started.ts";
import type { ClearRequest } from "../../../services/clearing/core/clearing.ts";
import { nodeEnvironment } from "../process/node-environment.ts";
import type { TokenIssuer } from "../rpc/token-issuer.ts";
import type { ClearingWorld } from "./world.ts";

/** Clearing as a process of its own, spoken to by gRPC. */
export interface ClearingProcess {
  readonly address: string;
  readonly client: RpcClient<typeof ClearingService>;
  /** A client with other claims; `dispose` it. */
  connect(scope: string, wallet?: string): RpcClient<typeof ClearingService>;
  /** Ends it with SIGKILL, as a crash does. */
  kill(): Promise<void>;
  /** Ends it with SIGTERM and resolves to its exit code. */
  stop(): Promise<number | null>;
}

const startMs = 60_000;
const main = fileURLToPath(new URL("../../../services/clearing/main.ts", import.meta.url));

/** Starts Clearing's main.ts in a world, on ports of its own. */
export async function startClearingProcess(
  world: ClearingWorld,
  issuer: TokenIssuer,
): Promise<ClearingProcess> {
  const child = spawn(process.execPath, [main], {
    env: {
      ...process.env,
      ...nodeEnvironment(),
      ...world.environment(),
      JWT_JWKS_FILE: issuer.jwksPath,
      GRPC_ADDRESS: "127.0.0.1:0",
      CONNECT_ADDRESS: "127.0.0.1:0",
      METRICS_ADDRESS: "127.0.0.1:0",
      LOG_FORMAT: "json",
      LOG_LEVEL: "info",
      // What is under way when it is told to stop ends, however slow the machine is.
      DRAIN_GRACE_MS: "100000",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  noteStarted("service");
  const endWithTest = () => void child.kill("SIGKILL");
  process.once("exit", endWithTest);
  child.once("exit", () => process.off("exit", endWithTest));
  const address = await listening(child);
  const connect = (scope: string, wallet?: string) =>
    createRpcClient(ClearingService, {
      address,
      token: () => issuer.token(wallet === undefined ? { scope } : { scope, wallet }),
      defaultTimeoutMs: 30_000,
    });
  const client = connect("clearing.write wallet.open");
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, "exit");
      child.kill(signal);
      await exited;
    }
    client[Symbol.dispose]();
    return child.exitCode;
  };
  return {
    address,
    client,
    connect,
    kill: async () => void (await end("SIGKILL")),
    stop: () => end("SIGTERM"),
  };
}

/** Waits for the line in which a service says where it listens by gRPC. Rejects if it ends, or after a minute. */
export function listening(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let log = "";
    const late = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`the service was not listening after ${startMs} ms:\n${log}`));
    }, startMs);
    const hear = (chunk: string) => {
      log = (log + chunk).slice(-20_000);
      const line = log.split("\n").find((text) => text.includes('"msg":"listening"'));
      const address = line && /"grpc":"([^"]+)"/.exec(line)?.[1];
      if (address === undefined || address === "") return;
      clearTimeout(late);
      resolve(address);
    };
    child.stdout?.setEncoding("utf8").on("data", hear);
    child.stderr?.setEncoding("utf8").on("data", hear);
    child.once("exit", () => {
      clearTimeout(late);
      reject(new Error(`the service ended:\n${log}`));
    });
  });
}

/** A request as it goes over the wire. */
export function toProto(request: ClearRequest): ClearRequestProto {
  return create(ClearRequestSchema, {
    intent: formatIntent(request.intent),
    attestation: formatAttestation(request.attestation),
    validateOnly: request.validateOnly,
  });
}

/** How a result of a batch reads in an assertion: CLEARED, or the reason of its error. */
export function reasonOfResult({ outcome }: ClearResult): string {
  if (outcome.case === "clearing") {
    return outcome.value.state === ClearingState.CLEARED ? "CLEARED" : "another state";
  }
  const details = outcome.case === "error" ? outcome.value.details : [];
  for (const detail of details) {
    const info = anyUnpack(detail, ErrorInfoSchema);
    if (info !== undefined) return info.reason;
  }
  return "no reason";
}
