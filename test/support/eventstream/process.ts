import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { createRpcClient, type RpcClient } from "#common/rpc/client.ts";
import type { EngineConfig } from "#common/tigerbeetle/open-client.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { noteStarted } from "../../../cli/test/started.ts";
import { nodeEnvironment } from "../process/node-environment.ts";
import { freePort } from "../rpc/free-port.ts";
import type { TokenIssuer } from "../rpc/token-issuer.ts";

/** An EventStream in a process of its own, as it runs in production. */
export interface EventStreamProcess {
  readonly pid: number;
  /** host:port of gRPC. */
  readonly address: string;
  readonly grpcPort: number;
  readonly connectPort: number;
  readonly metricsPort: number;
  /** A client with a token for events; closed with the process's `stop`. */
  connect(): RpcClient<typeof EventStreamService>;
  /** Ends it with SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again on the same ports, after `kill`. Resolves when it answers. */
  restart(): Promise<void>;
  /** Ends it and closes what was connected. Safe to repeat. */
  stop(): Promise<void>;
}

export interface EventStreamProcessOptions {
  readonly engine: EngineConfig;
  readonly databaseUrl: string;
  readonly issuer: TokenIssuer;
  /** Added to its environment. */
  readonly env?: Readonly<Record<string, string>>;
}

const startMs = 60_000;

export async function startEventStreamProcess(
  options: EventStreamProcessOptions,
): Promise<EventStreamProcess> {
  const [port, connectPort, metricsPort] = [await freePort(), await freePort(), await freePort()];
  const token = await options.issuer.token({ scope: "events.read" });
  const env = {
    ...environment(options),
    ...addresses(port, connectPort, metricsPort),
    ...options.env,
  };
  const clients = new Set<Disposable>();
  let child = await start(env, metricsPort);
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  return {
    get pid() {
      return child.pid ?? 0;
    },
    address: `127.0.0.1:${port}`,
    grpcPort: port,
    connectPort,
    metricsPort,
    connect() {
      const client = createRpcClient(EventStreamService, {
        address: `127.0.0.1:${port}`,
        defaultTimeoutMs: 20_000,
        token: async () => token,
      });
      clients.add(client);
      return client;
    },
    kill,
    async restart() {
      await kill();
      child = await start(env, metricsPort);
    },
    async stop() {
      for (const client of clients) client[Symbol.dispose]();
      clients.clear();
      await kill();
    },
  };
}

function environment({ engine, databaseUrl, issuer }: EventStreamProcessOptions) {
  return {
    ...nodeEnvironment(),
    JWT_JWKS_FILE: issuer.jwksPath,
    DATABASE_URL: databaseUrl,
    TIGERBEETLE_CLUSTER_ID: engine.clusterId.toString(),
    TIGERBEETLE_BATCH_MAX: String(engine.batchMax),
    LOG_LEVEL: "fatal",
    ...(engine.engine.kind === "embedded"
      ? { EMBEDDED_LEDGER_PATH: engine.engine.path }
      : { TIGERBEETLE_ADDRESSES: engine.engine.addresses.join() }),
  };
}

function addresses(port: number, connectPort: number, metricsPort: number) {
  return {
    GRPC_ADDRESS: `127.0.0.1:${port}`,
    CONNECT_ADDRESS: `127.0.0.1:${connectPort}`,
    METRICS_ADDRESS: `127.0.0.1:${metricsPort}`,
  };
}

async function start(env: NodeJS.ProcessEnv, metricsPort: number): Promise<ChildProcess> {
  const main = new URL("../../../services/eventstream/main.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [main], { env, stdio: ["ignore", "ignore", "pipe"] });
  noteStarted("service");
  const endWithTest = () => void child.kill("SIGKILL");
  process.once("exit", endWithTest);
  child.once("exit", () => process.off("exit", endWithTest));
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    errors = (errors + chunk).slice(-8_000);
  });
  const deadlineMs = Date.now() + startMs;
  while (Date.now() < deadlineMs && child.exitCode === null) {
    const isAlive = await fetch(`http://127.0.0.1:${metricsPort}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isAlive) return child;
    await sleep(50);
  }
  child.kill("SIGKILL");
  throw new Error(`eventstream did not start:\n${errors}`);
}
