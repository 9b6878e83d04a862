import { createLedgerEngine } from "#common/ledger/drivers/tigerbeetle.ts";
import { createReservations } from "#common/ledger/reservations.ts";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import { createLogger, type Logger } from "#common/process/logger.ts";
import type { Dependency } from "#common/rpc/health.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { type ReadOnlyClient, readOnlyClient } from "#common/tigerbeetle/read-only-client.ts";
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

/** Opens what the Ledger needs: one client for reads, one pool. */
export async function createLedgerDeps(
  config: LedgerConfig,
  overrides: LedgerOverrides = {},
): Promise<LedgerDeps> {
  const { runtime } = config;
  const client = overrides.client ?? readOnlyClient(await openClient(config.engine));
  const pool =
    overrides.pool ??
    createPool({ databaseUrl: config.databaseUrl, applicationName: "sovr-ledger" });
  const engine = createLedgerEngine(client, { batchMax: config.engine.batchMax });
  const records = createLedgerRecords(pool);
  return {
    clusterId: config.engine.clusterId,
    reader: engine.reader,
    evidence: records.evidence,
    reservations: createReservations(),
    dependencies: [engine.dependency, records.dependency],
    logger:
      overrides.logger ??
      createLogger(runtime.name, runtime.logLevel, { format: runtime.logFormat }),
    close: async () => {
      if (overrides.client === undefined) client.destroy();
      if (overrides.pool === undefined) await pool.end();
    },
  };
}
