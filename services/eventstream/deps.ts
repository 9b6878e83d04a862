import { clearedChannel } from "#common/postgres/evidence.ts";
import { listen } from "#common/postgres/listen.ts";
import { createPool, probePostgres } from "#common/postgres/pool.ts";
import { createLogger, type Logger } from "#common/process/logger.ts";
import { type Dependency, watchDependency } from "#common/rpc/health.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { type ReadOnlyClient, readOnlyClient } from "#common/tigerbeetle/read-only-client.ts";
import type { EventStreamConfig } from "./config.ts";
import { createRecordsReads } from "./drivers/postgres.ts";
import { createReadSumsAt } from "./drivers/read-sums.ts";
import { createLedgerReads } from "./drivers/tigerbeetle.ts";
import { createHubObserver, observeStream } from "./live/metrics.ts";
import { defaultLimits, EventStream, type StreamLimits } from "./serve/event-stream.ts";
import type { EventStreamServiceDeps } from "./service.ts";

export interface EventStreamDeps extends EventStreamServiceDeps {
  readonly dependencies: readonly Dependency[];
  readonly logger: Logger;
  close(): Promise<void>;
}

/** What tests may bring themselves. Whoever brings it closes it. */
export interface EventStreamOverrides {
  readonly client?: ReadOnlyClient;
  readonly logger?: Logger;
  readonly limits?: Partial<StreamLimits>;
  /** False: no wake-ups; every round is started by time. */
  readonly listen?: boolean;
}

/** How long one request to the ledger may take, and how many may be under way. */
const ledgerTimeoutMs = 5_000;
const ledgerRequestsMax = 64;

/** Opens what EventStream needs: a client for what is new, one for what is past, a pool, and a connection that listens. */
export async function createEventStreamDeps(
  config: EventStreamConfig,
  overrides: EventStreamOverrides = {},
): Promise<EventStreamDeps> {
  const { runtime, engine, databaseUrl } = config;
  const logger =
    overrides.logger ?? createLogger(runtime.name, runtime.logLevel, { format: runtime.logFormat });
  const open = async () => overrides.client ?? readOnlyClient(await openClient(engine));
  const clients = [await open(), await open()] as const;
  const pool = createPool({ databaseUrl, applicationName: "sovr-eventstream" });

  const tigerbeetle = watchDependency("tigerbeetle", () => ledger.clusterTime());
  const postgres = watchDependency("postgres", () => probePostgres(pool));
  const readsOf = (client: ReadOnlyClient) =>
    createLedgerReads({
      client,
      batchMax: engine.batchMax,
      timeoutMs: ledgerTimeoutMs,
      requestsMax: ledgerRequestsMax,
      onAnswer: tigerbeetle.onSuccess,
    });
  const [ledger, pastLedger] = [readsOf(clients[0]), readsOf(clients[1])];
  const records = createRecordsReads(pool, postgres.onSuccess);
  const stream = new EventStream({
    ledger,
    pastLedger,
    records,
    readSumsAt: createReadSumsAt(clients[1], engine.batchMax),
    limits: { ...defaultLimits, subscribersMax: config.subscribersMax, ...overrides.limits },
    observer: createHubObserver(logger),
  });
  observeStream(stream);
  const listener =
    overrides.listen === false
      ? undefined
      : listen({
          databaseUrl,
          channel: clearedChannel,
          applicationName: "sovr-eventstream-listen",
          onNotification: () => stream.wake(),
          onConnected: () => stream.wake(),
          onLost: (error) => logger.warn({ err: error }, "wake-ups are lost; rounds go by time"),
        });

  return {
    stream,
    clusterId: engine.clusterId,
    streamAgeMsMax: runtime.streamAgeMsMax,
    logger,
    dependencies: [tigerbeetle.dependency, postgres.dependency],
    async close() {
      await listener?.close();
      await pool.end();
      if (overrides.client === undefined) for (const client of clients) client.destroy();
    },
  };
}
