import { readEvidence, readEvidenceByPrefix } from "#common/postgres/evidence.ts";
import { createPool, isMissingTable } from "#common/postgres/pool.ts";
import type { AuditRecords } from "./ports.ts";

/** A page of evidence may be 8189 rows of a database that is busy otherwise. */
const statementTimeoutMs = 60_000;

/**
 * The evidence as an examiner reads it; `select` on the table `evidence` is all it needs, and where there is no such table
 * there is no evidence. All reject with RECORDS_UNAVAILABLE.
 */
export function openAuditRecords(databaseUrl: string): AuditRecords & { close(): Promise<void> } {
  const pool = createPool({
    databaseUrl,
    applicationName: "sovr-audit",
    connectionsMax: 2,
    statementTimeoutMs,
  });
  return {
    byPrefix: (prefixes) => orNone(readEvidenceByPrefix(pool, prefixes)),
    byIntentId: (intentIds) => orNone(readEvidence(pool, intentIds)),
    close: () => pool.end(),
  };
}

async function orNone<Key, Value>(
  found: Promise<ReadonlyMap<Key, Value>>,
): Promise<ReadonlyMap<Key, Value>> {
  try {
    return await found;
  } catch (error) {
    if (!isMissingTable(error)) throw error;
    return new Map();
  }
}
