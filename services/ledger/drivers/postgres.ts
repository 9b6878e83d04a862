import { readEvidence, readEvidenceByPrefix } from "#common/postgres/evidence.ts";
import { type Pool, probePostgres } from "#common/postgres/pool.ts";
import { type Dependency, watchDependency } from "#common/rpc/health.ts";
import type { JournalEvidence } from "../ledger.ts";

/** The records as this service uses them: evidence, only read, and what readiness asks. */
export interface LedgerRecords {
  readonly evidence: JournalEvidence;
  readonly dependency: Dependency;
}

/** Wraps the pool. */
export function createLedgerRecords(pool: Pool): LedgerRecords {
  // The statement's own timeout ends a probe; the runtime stops waiting before that.
  const { dependency, onSuccess } = watchDependency("records", () => probePostgres(pool));

  async function ask<T>(work: () => Promise<T>): Promise<T> {
    const result = await work();
    onSuccess();
    return result;
  }

  return {
    evidence: {
      byIntentId: async (intentId) =>
        (await ask(() => readEvidence(pool, [intentId]))).get(intentId),
      byPrefixes: (prefixes) => ask(() => readEvidenceByPrefix(pool, prefixes)),
    },
    dependency,
  };
}
