import type { MessageInitShape } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import type { Client } from "tigerbeetle-node";
import { contracts } from "#common/contracts.ts";
import { migrate } from "#common/postgres/migrate.ts";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import { createLogger, type Logger } from "#common/process/logger.ts";
import { createRpcClient, type RpcClient } from "#common/rpc/client.ts";
import { mountOf } from "#common/rpc/mount.ts";
import type { RuntimeConfig } from "#common/rpc/runtime-config.ts";
import { type Running, serve } from "#common/rpc/serve.ts";
import { clusterTime } from "#common/tigerbeetle/cluster-time.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import {
  EventStreamService,
  type SubscribeRequestSchema,
  type SubscribeResponse,
} from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { eventStreamConfig } from "../../../services/eventstream/config.ts";
import {
  createEventStreamDeps,
  type EventStreamDeps,
  type EventStreamOverrides,
} from "../../../services/eventstream/deps.ts";
import { createEventStreamService } from "../../../services/eventstream/service.ts";
import { createSeed, type Seed } from "../intents/seed.ts";
import type { RunningEngine, TestEngine } from "../ledger/tigerbeetle.ts";
import { openDatabase } from "../postgres/database.ts";
import type { TestDatabase } from "../postgres/postgres.ts";
import { patience } from "../process/node-environment.ts";
import { createTokenIssuer, type TokenClaims, type TokenIssuer } from "../rpc/token-issuer.ts";
import { scanEvents, type TrueEvent } from "./truth.ts";
import type { Recording } from "./validators.ts";

/** A ledger with records, someone who writes to both, and as many EventStreams over them as a test opens. */
export interface EventStreamWorld {
  readonly engine: RunningEngine;
  readonly records: TestDatabase;
  readonly clusterId: bigint;
  /** Writes to the ledger past everything. */
  readonly client: Client;
  readonly pool: Pool;
  readonly seed: Seed;
  /** Starts a replica of the service. The world stops it if the test does not. */
  open(options?: OpenOptions): Promise<Replica>;
  /** Every event up to now, by a full scan. */
  truth(): Promise<TrueEvent[]>;
  stop(): Promise<void>;
}

export interface OpenOptions extends EventStreamOverrides {
  /** What the runtime is told otherwise than by default. */
  readonly runtime?: Partial<RuntimeConfig>;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Replica {
  readonly deps: EventStreamDeps;
  readonly running: Running;
  /** A client whose token has the scope, and what else is claimed. */
  connect(claims?: TokenClaims): RpcClient<typeof EventStreamService>;
  stop(): Promise<void>;
}

/** Starts a world on an engine, with the chart opened. `given`: where its records lie; it is stopped with the world. */
export async function startEventStreamWorld(
  engine: TestEngine,
  clusterId = 0n,
  given?: TestDatabase,
): Promise<EventStreamWorld> {
  const running = await engine.start(clusterId);
  const records = given ?? (await openDatabase());
  const client = await openClient(running.config);
  const pool = createPool({ databaseUrl: records.databaseUrl, applicationName: "test" });
  await migrate(
    pool,
    "clearing",
    new URL("../../../services/clearing/migrations/", import.meta.url),
  );
  const seed = createSeed(client, pool);
  await seed.openChart();
  const issuer = await createTokenIssuer();
  const replicas = new Set<Replica>();
  return {
    engine: running,
    records,
    clusterId,
    client,
    pool,
    seed,
    async open(options = {}) {
      const replica = await openReplica(running, records.databaseUrl, issuer, options);
      replicas.add(replica);
      return replica;
    },
    async truth() {
      const through = await clusterTime(client);
      return scanEvents(client, { clusterId, through, batchMax: running.config.batchMax });
    },
    async stop() {
      for (const replica of replicas) await replica.stop();
      client.destroy();
      await pool.end();
      await records.stop();
      await running.stop();
      issuer[Symbol.dispose]();
    },
  };
}

async function openReplica(
  engine: RunningEngine,
  databaseUrl: string,
  issuer: TokenIssuer,
  options: OpenOptions,
): Promise<Replica> {
  const logger: Logger = options.logger ?? createLogger("eventstream", "silent");
  const { config } = engine;
  const streamConfig = eventStreamConfig({
    GRPC_ADDRESS: "127.0.0.1:0",
    CONNECT_ADDRESS: "127.0.0.1:0",
    METRICS_ADDRESS: "127.0.0.1:0",
    JWT_JWKS_FILE: issuer.jwksPath,
    DATABASE_URL: databaseUrl,
    TIGERBEETLE_CLUSTER_ID: config.clusterId.toString(),
    TIGERBEETLE_BATCH_MAX: String(config.batchMax),
    ...patience,
    ...(config.engine.kind === "embedded"
      ? { EMBEDDED_LEDGER_PATH: config.engine.path }
      : { TIGERBEETLE_ADDRESSES: config.engine.addresses.join() }),
    ...options.env,
  });
  const deps = await createEventStreamDeps(streamConfig, { ...options, logger });
  const running = await serve({
    config: { ...streamConfig.runtime, ...options.runtime },
    mounts: [mountOf(EventStreamService, createEventStreamService(deps))],
    contracts,
    ...deps,
  });
  const clients = new Set<Disposable>();
  return {
    deps,
    running,
    connect(claims = {}) {
      let token: Promise<string> | undefined;
      const client = createRpcClient(EventStreamService, {
        address: `127.0.0.1:${running.ports.grpc}`,
        defaultTimeoutMs: 20_000,
        token: () => {
          token ??= issuer.token({ scope: "events.read", ...claims });
          return token;
        },
      });
      clients.add(client);
      return client;
    },
    async stop() {
      for (const client of clients) client[Symbol.dispose]();
      await running.stop();
    },
  };
}

/** A stream that is recorded in the background. */
export interface Recorder extends Recording {
  readonly messages: SubscribeResponse[];
  /** The error that ended it; undefined while it runs, and if nothing ended it but us. */
  readonly error: ConnectError | undefined;
  /** Resolves when the messages so far fulfil a condition; rejects if the stream ends before, or after a minute. */
  until(condition: (messages: readonly SubscribeResponse[]) => boolean): Promise<void>;
  /** Ends it. Resolves when it has ended. */
  stop(): Promise<void>;
  /** Resolves when it has ended by itself. */
  readonly ended: Promise<void>;
}

const patienceMs = 60_000;

/** Subscribes and records. */
export function record(
  client: RpcClient<typeof EventStreamService>,
  request: MessageInitShape<typeof SubscribeRequestSchema> = {},
): Recorder {
  const messages: SubscribeResponse[] = [];
  const controller = new AbortController();
  const waiting = new Set<() => void>();
  let error: ConnectError | undefined;
  let isEnded = false;
  const tell = () => {
    for (const look of [...waiting]) look();
  };
  const run = async () => {
    try {
      for await (const message of client.subscribe(request, { signal: controller.signal })) {
        messages.push(message);
        tell();
      }
    } catch (caught) {
      if (!controller.signal.aborted) error = ConnectError.from(caught);
    }
    isEnded = true;
    tell();
  };
  const ended = run();
  return {
    messages,
    startCursor: request.start?.case === "cursor" ? request.start.value : undefined,
    get error() {
      return error;
    },
    until: (condition) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(look);
          reject(new Error(`waited in vain after ${messages.length} messages`));
        }, patienceMs);
        const look = () => {
          const isMet = condition(messages);
          if (!isMet && !isEnded) return;
          clearTimeout(timer);
          waiting.delete(look);
          if (isMet) resolve();
          else reject(error ?? new Error(`the stream ended after ${messages.length} messages`));
        };
        waiting.add(look);
        look();
      }),
    async stop() {
      controller.abort();
      await ended;
    },
    ended,
  };
}
