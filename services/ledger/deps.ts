import { createBreakerCells } from "#common/breaker.ts";
import { watchLedgerIdentity } from "#common/ledger/drivers/identity.ts";
import {
  createLedgerReaders,
  type LedgerReaderOptions,
} from "#common/ledger/drivers/tigerbeetle.ts";
import { createReservations } from "#common/ledger/reservations.ts";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import { createLogger, type Logger } from "#common/process/logger.ts";
import { type Dependency, watchDependency } from "#common/rpc/health.ts";
import { createLedgerBreaker, observeLedgerBreaker } from "#common/tigerbeetle/ledger-breaker.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { type ReadOnlyClient, readOnlyClient } from "#common/tigerbeetle/read-only-client.ts";
import { createPageTokens } from "#common/wire/page-token.ts";
import type { LedgerConfig } from "./config.ts";
import { createLedgerRecords } from "./drivers/postgres.ts";
import type { LedgerPorts } from "./ledger.ts";

export interface LedgerDeps extends LedgerPorts {
  readonly dependencies: readonly Dependency[];
  readonly logger: Logger;
  close(): Promise<void>;
}

/** What tests may bring themselves. Whoever brings it closes it. */
export interface LedgerOverrides {
  readonly client?: ReadOnlyClient;
  readonly pool?: Pool;
  readonly logger?: Logger;
}

const readLimits: Omit<LedgerReaderOptions, "batchMax"> = {
  // Far longer than a view change of the cluster's primary in the usual case, shorter than callers wait.
  readTimeoutMs: 4_000,
  // A trial balance alone asks for 8189 rows at once.
  waitingMax: 65_536,
  retryAfterMs: 1_000,
};

/** Opens what the Ledger needs: one client for reads, one pool. */
export async function createLedgerDeps(
  config: LedgerConfig,
  overrides: LedgerOverrides = {},
): Promise<LedgerDeps> {
  const { runtime } = config;
  await using opened = new AsyncDisposableStack();
  const client =
    overrides.client ??
    opened.adopt(readOnlyClient(await openClient(config.engine, { ifMissing: "await" })), (own) =>
      own.destroy(),
    );
  const pool =
    overrides.pool ??
    opened.adopt(
      createPool({ databaseUrl: config.databaseUrl, applicationName: "sovr-ledger" }),
      (own) => own.end(),
    );
  const logger =
    overrides.logger ?? createLogger(runtime.name, runtime.logLevel, { format: runtime.logFormat });
  const { ledgerSilenceMs: silenceMs } = config;
  const breaker = opened.adopt(
    createLedgerBreaker({ cells: createBreakerCells(1), silenceMs }),
    (own) => own.close(),
  );
  observeLedgerBreaker(breaker, logger);
  const engine = watchDependency("ledger", (signal) => reader(signal).clusterTime());
  const reader = createLedgerReaders(client, {
    ...readLimits,
    batchMax: config.engine.batchMax,
    onAnswer: engine.onSuccess,
    line: breaker.line(0, () => client.clusterTime()),
  });
  const records = createLedgerRecords(pool);
  const identity = watchLedgerIdentity(pool, reader, config.engine.clusterId);
  // From here on it is the service's to close; what throws above closes what was opened by then.
  const closing = opened.move();
  return {
    pageTokens: createPageTokens(`ledger/${config.engine.clusterId}`, config.databaseUrl),
    reader,
    evidence: records.evidence,
    reservations: createReservations(),
    dependencies: [engine.dependency, records.dependency, identity],
    logger,
    close: () => closing.disposeAsync(),
  };
}
