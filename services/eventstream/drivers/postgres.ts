import { DomainError } from "#common/domain-error.ts";
import type { AttestedIntent } from "#common/intent/intent.ts";
import { clockSkewSeconds, lifetimeMaxSeconds } from "#common/intent/rules.ts";
import {
  type EvidenceRow,
  evidenceColumns,
  parseEvidence,
  phaseNumbers,
  readEvidenceByPrefix,
} from "#common/postgres/evidence.ts";
import { isMissingTable, type Pool, withRecords } from "#common/postgres/pool.ts";
import type { RecordsReads } from "../read/event.ts";

/** The most prefixes or ids of one query. */
const keysMax = 8_189;

/** Reads evidence. `onAnswer` hears of every answer. */
export function createRecordsReads(pool: Pool, onAnswer?: () => void): RecordsReads {
  const ask = async <T>(read: () => Promise<T>): Promise<T> => {
    try {
      const result = await read();
      onAnswer?.();
      return result;
    } catch (error) {
      throw isMissingTable(error) ? notSetUp(error) : error;
    }
  };
  return {
    evidence: { byPrefixes: (prefixes) => ask(() => readPrefixes(pool, prefixes)) },
    pendingsOpenAt: (seconds, after, limit) => ask(() => readPendings(pool, seconds, after, limit)),
    resolutionsOf: (pendingIntentIds) => ask(() => readResolutions(pool, pendingIntentIds)),
  };
}

async function readPrefixes(
  pool: Pool,
  prefixes: readonly string[],
): Promise<Map<string, AttestedIntent>> {
  if (prefixes.length <= keysMax) return readEvidenceByPrefix(pool, prefixes);
  const found = new Map<string, AttestedIntent>();
  for (const part of chunks(prefixes)) {
    for (const entry of await readEvidenceByPrefix(pool, part)) found.set(...entry);
  }
  return found;
}

/** Clearing makes the tables when it starts; whoever starts before it waits. */
function notSetUp(cause: unknown): DomainError<"RECORDS_UNAVAILABLE"> {
  return new DomainError("RECORDS_UNAVAILABLE", "the records are not set up yet", { cause });
}

async function readResolutions(
  pool: Pool,
  pendingIntentIds: readonly string[],
): Promise<AttestedIntent[]> {
  const found: AttestedIntent[] = [];
  for (const part of chunks(pendingIntentIds)) {
    const result = await withRecords(() =>
      pool.query<EvidenceRow>(
        `select ${evidenceColumns} from evidence where pending_intent_id = any($1::uuid[])`,
        [part],
      ),
    );
    found.push(...result.rows.map(parseEvidence));
  }
  return found;
}

function* chunks<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < items.length; from += keysMax) yield items.slice(from, from + keysMax);
}

/** The expression of the index `evidence_pending`: no reservation lasts longer than this. */
const lastExpiry = "(issue_time + 86400 + timeout_seconds)";

async function readPendings(
  pool: Pool,
  seconds: bigint,
  after: AttestedIntent | undefined,
  limit: number,
): Promise<AttestedIntent[]> {
  // Clearing judges lifetimes by its own clock, the ledger stamps by its own.
  const expiresFrom = seconds - clockSkewSeconds;
  const afterExpiry =
    after === undefined
      ? expiresFrom - 1n
      : after.intent.issueTime + lifetimeMaxSeconds + BigInt(after.intent.timeoutSeconds);
  const result = await withRecords(() =>
    pool.query<EvidenceRow>(
      `select ${evidenceColumns} from evidence
       where phase = ${phaseNumbers.PENDING} and timeout_seconds > 0
         and (${lastExpiry}, intent_id) > ($1::bigint, $2::uuid) and issue_time <= $3::bigint
       order by ${lastExpiry}, intent_id limit $4`,
      [
        afterExpiry.toString(),
        after?.intent.intentId ?? "ffffffff-ffff-ffff-ffff-ffffffffffff",
        (seconds + 2n * clockSkewSeconds).toString(),
        limit,
      ],
    ),
  );
  return result.rows.map(parseEvidence);
}
