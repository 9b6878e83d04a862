import { readEvidence, readEvidenceByPrefix } from "#common/postgres/evidence.ts";
import { createPool } from "#common/postgres/pool.ts";
import type { AuditRecords } from "./ports.ts";

/** A page of evidence may be 8189 rows of a database that is busy otherwise. */
const statementTimeoutMs = 60_000;

/** The records as an audit reads them; `select` on the table `evidence` is all it needs. All reject with RECORDS_UNAVAILABLE. */
export function openAuditRecords(databaseUrl: string): AuditRecords & { close(): Promise<void> } {
  const pool = createPool({
    databaseUrl,
    applicationName: "sovr-audit",
    connectionsMax: 2,
    statementTimeoutMs,
  });
  return {
    byPrefix: (prefixes) => readEvidenceByPrefix(pool, prefixes),
    byIntentId: (intentIds) => readEvidence(pool, intentIds),
    close: () => pool.end(),
  };
}
