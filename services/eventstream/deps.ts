import { createBreakerCells } from "#common/breaker.ts";
import { watchLedgerIdentity } from "#common/ledger/drivers/identity.ts";
import {
  createLedgerReaders,
  type LedgerReaderOptions,
} from "#common/ledger/drivers/tigerbeetle.ts";
import { createReservations } from "#common/ledger/reservations.ts";
import { sumsAt } from "#common/ledger/sums-at.ts";
import { clearedChannel } from "#common/postgres/evidence.ts";
import { listen } from "#common/postgres/listen.ts";
import { createPool, probePostgres } from "#common/postgres/pool.ts";
import { createLogger, type Logger } from "#common/process/logger.ts";
import { type Dependency, watchDependency } from "#common/rpc/health.ts";
import {
  createLedgerBreaker,
  type LedgerLine,
  observeLedgerBreaker,
} from "#common/tigerbeetle/ledger-breaker.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { type ReadOnlyClient, readOnlyClient } from "#common/tigerbeetle/read-only-client.ts";
import { createPageTokens } from "#common/wire/page-token.ts";
import type { EventStreamConfig } from "./config.ts";
import { createRecordsReads } from "./drivers/postgres.ts";
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

type ReadLimits = Omit<LedgerReaderOptions, "batchMax" | "onAnswer" | "line">;

/** Readers of events ask for a page at a time; a silent ledger must not gather such requests. */
const eventLimits: ReadLimits = { readTimeoutMs: 5_000, waitingMax: 64, retryAfterMs: 500 };
/** A snapshot of balances asks for a row or two of each of 1000 accounts, and there may be many watches. */
const sumsLimits: ReadLimits = { readTimeoutMs: 4_000, waitingMax: 65_536, retryAfterMs: 1_000 };

/**
 * Opens what EventStream needs: a client for what is new, one for what is past, a pool, and a connection that
 * listens. If one cannot be opened, those that were are closed again.
 */
export async function createEventStreamDeps(
  config: EventStreamConfig,
  overrides: EventStreamOverrides = {},
): Promise<EventStreamDeps> {
  const { runtime, engine, databaseUrl } = config;
  const logger =
    overrides.logger ?? createLogger(runtime.name, runtime.logLevel, { format: runtime.logFormat });
  await using opened = new AsyncDisposableStack();
  const openLedger = async () =>
    overrides.client ??
    opened.adopt(readOnlyClient(await openClient(engine, { ifMissing: "await" })), (own) =>
      own.destroy(),
    );
  const newClient = await openLedger();
  const pastClient = await openLedger();
  const { ledgerSilenceMs: silenceMs } = config;
  const breaker = opened.adopt(
    createLedgerBreaker({ cells: createBreakerCells(2), silenceMs }),
    (own) => own.close(),
  );
  observeLedgerBreaker(breaker, logger);
  const newLine = breaker.line(0, () => newClient.clusterTime());
  const pastLine = breaker.line(1, () => pastClient.clusterTime());
  const pool = opened.adopt(
    createPool({ databaseUrl, applicationName: "sovr-eventstream" }),
    (own) => own.end(),
  );

  const tigerbeetle = watchDependency("tigerbeetle", () => ledger.clusterTime());
  const postgres = watchDependency("postgres", () => probePostgres(pool));
  const readersOf = (client: ReadOnlyClient, line: LedgerLine, limits: ReadLimits) =>
    createLedgerReaders(client, {
      ...limits,
      line,
      batchMax: engine.batchMax,
      onAnswer: tigerbeetle.onSuccess,
    });
  const ledger = readersOf(newClient, newLine, eventLimits)();
  const pastLedger = readersOf(pastClient, pastLine, eventLimits)();
  const records = createRecordsReads(pool, postgres.onSuccess);
  const sumsReaders = readersOf(pastClient, pastLine, sumsLimits);
  const reservations = createReservations();
  const stream = new EventStream({
    ledger,
    pastLedger,
    records,
    // As the Ledger does it: one truth for both.
    readSumsAt: (accounts, instant, signal) =>
      sumsAt({ reader: sumsReaders(signal), reservations }, accounts, instant),
    limits: { ...defaultLimits, subscribersMax: config.subscribersMax, ...overrides.limits },
    observer: createHubObserver(logger),
  });
  observeStream(stream);
  if (overrides.listen !== false) {
    const listener = listen({
      databaseUrl,
      channel: clearedChannel,
      applicationName: "sovr-eventstream-listen",
      onNotification: () => stream.hub.wake(),
      onConnected: () => stream.hub.wake(),
      onLost: (error) => logger.warn({ err: error }, "wake-ups are lost; rounds go by time"),
    });
    opened.defer(() => listener.close());
  }
  opened.defer(stream.hub.follow());
  // From here on it is the service's to close; what throws above closes what was opened by then.
  const closing = opened.move();
  return {
    stream,
    clusterId: engine.clusterId,
    pageTokens: createPageTokens(`eventstream/${engine.clusterId}`, databaseUrl),
    streamAgeMsMax: runtime.streamAgeMsMax,
    logger,
    dependencies: [
      tigerbeetle.dependency,
      postgres.dependency,
      watchLedgerIdentity(pool, () => pastLedger, engine.clusterId),
    ],
    close: () => closing.disposeAsync(),
  };
}
