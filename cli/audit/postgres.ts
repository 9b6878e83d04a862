import { readBoundIntents } from "#common/postgres/bound-intents.ts";
import {
  readEvidence,
  readEvidenceByPrefix,
  readEvidenceTimes,
} from "#common/postgres/evidence.ts";
import { createPool, isMissingTable } from "#common/postgres/pool.ts";
import type { AuditRecords, SeenIntent } from "./ports.ts";

/** A page of evidence may be 8189 rows of a database that is busy otherwise. */
const statementTimeoutMs = 60_000;

/**
 * The evidence as an examiner reads it; `select` on the tables `evidence` and `attestation_intent` is all it needs, and
 * where there is no such table there is nothing of it. All reject with RECORDS_UNAVAILABLE.
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
    async seenTimes(intentIds) {
      const [bound, stored] = await Promise.all([
        readBoundIntents(pool, intentIds),
        orNone(readEvidenceTimes(pool, intentIds)),
      ]);
      return new Map(
        intentIds.map((id) => {
          const [byAttestor, byClearing] = [bound.get(id), stored.get(id)];
          const seen: SeenIntent[] = byClearing === undefined ? [] : [byClearing];
          if (byAttestor !== undefined) {
            seen.push({ digest: byAttestor.digest, seenTime: byAttestor.boundTime });
          }
          return [id, seen];
        }),
      );
    },
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
