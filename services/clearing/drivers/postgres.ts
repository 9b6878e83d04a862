import { setTimeout as sleep } from "node:timers/promises";
import { dayIsSpent, type Spend } from "#common/approval/judge.ts";
import { type GroupCommitOptions, groupCommit } from "#common/group-commit.ts";
import type { AttestedIntent } from "#common/intent/intent.ts";
import { packApprovals } from "#common/postgres/approvals.ts";
import { arrayLiteral, byteaCell, textCell } from "#common/postgres/array-literal.ts";
import { readBoundIntents } from "#common/postgres/bound-intents.ts";
import { findBeyond, insertCounted } from "#common/postgres/day-sums.ts";
import {
  clearedChannel,
  evidenceColumns,
  hex,
  packPostings,
  phaseNumbers,
  readEvidence,
  readEvidenceByPrefix,
} from "#common/postgres/evidence.ts";
import { type Pool, withRecords } from "#common/postgres/pool.ts";
import { packTree } from "#common/postgres/trees.ts";
import type { Attempt } from "../core/attempt.ts";
import type { AttestorRecords, EvidenceStore, Failure, RecordedFailure } from "../core/ports.ts";

/** Enough to share a commit among hundreds, small enough that other calls soon get their turn. */
const groupMax = 256;
const waitingMax = 100_000;

const grouped = { weightMax: groupMax, waitingMax, divisible: true };

/** The evidence store on PostgreSQL. `onSuccess` hears of every statement that was answered. */
export function createEvidenceStore(pool: Pool, onSuccess: () => void): EvidenceStore {
  const group = <Item, Result>(
    runningMax: number,
    run: (items: readonly Item[]) => Promise<readonly Result[]>,
  ) => {
    const options: GroupCommitOptions<Item, Result> = {
      ...grouped,
      runningMax,
      run: async (items) => {
        const results = await run(items);
        onSuccess();
        return results;
      },
    };
    return groupCommit(options);
  };
  // Failures go one group at a time, in order: who asks for the reason of a failure asks after who records it.
  const failures = group(1, (items: readonly FailureItem[]) => recordFailures(pool, items));
  const store = group(2, (items: readonly AttestedIntent[]) => storeEvidence(pool, items));
  // One at a time: they wait for the same locks.
  const counted = group(1, (items: readonly CountedEvidence[]) => storeCounted(pool, items));
  const countedStore = async (evidence: CountedEvidence, attempt: Attempt) => {
    const stored = await counted(evidence, attempt);
    if (typeof stored === "string") return stored;
    throw dayIsSpent(stored);
  };
  return {
    store: (evidence, attempt, spends = []) =>
      spends.length === 0
        ? store(evidence, attempt)
        : countedStore({ ...evidence, spends }, attempt),
    checkDay: async (spends) => {
      const beyond = await findBeyond(pool, daySums, spends);
      if (beyond !== undefined) throw dayIsSpent(beyond);
    },
    read: group(2, async (intentIds: readonly string[]) => {
      const found = await readEvidence(pool, intentIds);
      return intentIds.map((id) => found.get(id));
    }),
    readByDigest: group(2, async (digests: readonly string[]) => {
      const found = await readEvidenceByPrefix(pool, digests.map(prefixOf));
      return digests.map((digest) => {
        const evidence = found.get(prefixOf(digest));
        return evidence?.attestation.digest === digest ? evidence : undefined;
      });
    }),
    recordFailure: (intentId, failure, attempt) =>
      failures({ intentId, failure, writes: true }, attempt),
    readFailure: (intentId, attempt) =>
      failures({ intentId, failure: undefined, writes: false }, attempt),
  };
}

/** What the Attestor keeps, read only. */
export function createAttestorRecords(pool: Pool): AttestorRecords {
  const boundIntents = groupCommit({
    ...grouped,
    runningMax: 2,
    run: async (intentIds: readonly string[]) => {
      const found = await readBoundIntents(pool, intentIds);
      return intentIds.map((id) => found.get(id));
    },
  });
  return {
    async boundTime(intentId, digest, attempt) {
      const bound = await boundIntents(intentId, attempt);
      return bound?.digest === digest ? bound.boundTime : undefined;
    },
  };
}

/** The 24 bytes of a digest that are indexed. */
function prefixOf(digest: string): string {
  return digest.slice(0, 50);
}

/** An intent that takes something of what passes in a day without approval. */
type CountedEvidence = AttestedIntent & { readonly spends: readonly Spend[] };

const daySums = "clearing_day_sum";
const insertedColumns = `${evidenceColumns}, approvals, tree`;

const insertEvidence = `
  insert into evidence (${insertedColumns})
  select ${insertedColumns} from unnest(
    $1::uuid[], $2::bytea[], $3::smallint[], $4::bytea[], $5::text[], $6::text[], $7::bytea[], $8::bytea[],
    $9::uuid[], $10::integer[], $11::bigint[], $12::bigint[], $13::bytea[], $14::bytea[], $15::bytea[],
    $16::bytea[], $17::bytea[])
    as new (${insertedColumns})
  order by intent_id
  on conflict do nothing`;

/**
 * Inserts what is new, in one round trip and in the order of ids, so that opposite batches cannot deadlock. If an id was
 * there already, a second statement, whose snapshot sees who was first, reads what is stored. Returns the digests stored.
 */
async function storeEvidence(pool: Pool, items: readonly AttestedIntent[]): Promise<string[]> {
  const firsts = firstsOf(items);
  const ids = [...firsts.keys()];
  const inserted = await withRecords(() =>
    pool.query({
      name: "clearing-insert-evidence",
      text: insertEvidence,
      values: evidenceArrays([...firsts.values()]),
    }),
  );
  const found = inserted.rowCount === ids.length ? undefined : await readDigests(pool, ids);
  const stored = (id: string) =>
    found === undefined ? firsts.get(id)?.attestation.digest : found.get(id);
  return items.map(({ intent: { intentId } }) => {
    const digest = stored(intentId);
    if (digest === undefined) throw new Error(`evidence ${intentId} was not stored`);
    return digest;
  });
}

/** The first of each id: the others are the same again, or meet INTENT_ID_REUSED. */
function firstsOf<Item extends AttestedIntent>(items: readonly Item[]): Map<string, Item> {
  const firsts = new Map<string, Item>();
  for (const item of items) {
    if (!firsts.has(item.intent.intentId)) firsts.set(item.intent.intentId, item);
  }
  return firsts;
}

/** As storeEvidence, of what the day has room for; of the rest, the sum that has none. */
async function storeCounted(
  pool: Pool,
  items: readonly CountedEvidence[],
): Promise<(string | Spend)[]> {
  const firsts = firstsOf(items);
  const ids = [...firsts.keys()];
  const refused = await insertCounted(
    pool,
    daySums,
    [...firsts].map(([intentId, { spends, ...evidence }]) => ({ intentId, spends, evidence })),
    {
      known: async (client, intentIds) => new Set((await readDigests(client, intentIds)).keys()),
      insert: async (client, fitting) => {
        const { rows } = await client.query<{ intent_id: string }>({
          name: "clearing-insert-counted-evidence",
          text: `${insertEvidence} returning intent_id`,
          values: evidenceArrays(fitting.map(({ evidence }) => evidence)),
        });
        return new Set(rows.map((row) => row.intent_id));
      },
    },
  );
  const stored = await readDigests(pool, ids);
  return items.map(({ intent: { intentId } }) => {
    const outcome = stored.get(intentId) ?? refused.get(intentId);
    if (outcome === undefined) throw new Error(`evidence ${intentId} was not stored`);
    return outcome;
  });
}

async function readDigests(
  client: Pick<Pool, "query">,
  intentIds: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const found = await withRecords(() =>
    client.query<{ intent_id: string; digest: Buffer }>(
      "select intent_id, digest from evidence where intent_id = any($1::uuid[])",
      [intentIds],
    ),
  );
  return new Map(found.rows.map((row) => [row.intent_id, hex(row.digest)]));
}

function evidenceArrays(items: readonly AttestedIntent[]): string[] {
  const column = (cell: (item: AttestedIntent) => string) => arrayLiteral(items, cell);
  return [
    column(({ intent }) => intent.intentId),
    column(({ attestation }) => byteaCell(attestation.digest)),
    column(({ intent }) => String(phaseNumbers[intent.phase])),
    column(({ intent }) => byteaCell(intent.wallet)),
    column(({ intent }) => textCell(intent.merchantId)),
    column(({ intent }) => textCell(intent.reference)),
    column(({ intent }) => byteaCell(hex(packPostings(intent.postings)))),
    column(({ intent }) => (intent.corrects === "" ? "null" : byteaCell(intent.corrects))),
    column(({ intent }) => (intent.pendingIntentId === "" ? "null" : intent.pendingIntentId)),
    column(({ intent }) => String(intent.timeoutSeconds)),
    column(({ intent }) => String(intent.issueTime)),
    column(({ intent }) => String(intent.expireTime)),
    column(({ attestation }) => byteaCell(attestation.signature)),
    column(({ attestation }) => byteaCell(attestation.signer)),
    column(({ attestation: { walletSignature } }) =>
      walletSignature === "" ? "null" : byteaCell(walletSignature),
    ),
    column(({ attestation: { approvals } }) => {
      const packed = packApprovals(approvals);
      return packed === "" ? "null" : byteaCell(packed);
    }),
    column(({ attestation: { tree } }) =>
      tree === undefined ? "null" : byteaCell(packTree(tree)),
    ),
  ];
}

interface FailureItem {
  readonly intentId: string;
  readonly failure: Failure | undefined;
  readonly writes: boolean;
}

interface FailureRow {
  readonly intent_id: string;
  readonly reason: string;
  readonly metadata: Record<string, string>;
  readonly failure_time: Date;
}

/** The reason under which a failure is recorded that nobody explained: who caused it died before saying why. */
const unexplained = "INTENT_FAILED";

/** Records the failures that are given, first come first kept, and reads what is recorded for all. */
async function recordFailures(
  pool: Pool,
  items: readonly FailureItem[],
): Promise<(RecordedFailure | undefined)[]> {
  const known = new Map<string, Failure>();
  for (const { intentId, failure } of items) {
    if (failure !== undefined && !known.has(intentId)) known.set(intentId, failure);
  }
  const inserted = known.size > 0 ? await insertFailures(pool, known) : new Set<string>();
  const unknown = items.filter((item) => item.writes && !known.has(item.intentId));
  if (unknown.length > 0) {
    await insertUnexplained(
      pool,
      unknown.map(({ intentId }) => intentId),
    );
  }
  const found = await withRecords(() =>
    pool.query<FailureRow>(
      "select intent_id, reason, metadata, failure_time from clearing_failure where intent_id = any($1::uuid[])",
      [[...new Set(items.map(({ intentId }) => intentId))]],
    ),
  );
  const recorded = new Map(found.rows.map((row) => [row.intent_id, row]));
  return items.map(({ intentId, failure }) => {
    const row = recorded.get(intentId);
    if (row === undefined) return undefined;
    const isNew =
      failure !== undefined && known.get(intentId) === failure && inserted.has(intentId);
    const { reason, metadata, failure_time } = row;
    return { reason, metadata, timeMs: failure_time.getTime(), isNew };
  });
}

/** Returns the ids whose failure was not recorded before. */
async function insertFailures(
  pool: Pool,
  failures: ReadonlyMap<string, Failure>,
): Promise<Set<string>> {
  const inserted = await withRecords(() =>
    pool.query<{ intent_id: string }>(
      `insert into clearing_failure (intent_id, reason, metadata)
       select * from unnest($1::uuid[], $2::text[], $3::jsonb[]) as new (intent_id, reason, metadata)
       order by intent_id on conflict do nothing returning intent_id`,
      [
        [...failures.keys()],
        [...failures.values()].map(({ reason }) => reason),
        [...failures.values()].map(({ metadata }) => JSON.stringify(metadata)),
      ],
    ),
  );
  return new Set(inserted.rows.map((row) => row.intent_id));
}

/** Only when the evidence is old: until then who caused the failure may still be about to record why. */
async function insertUnexplained(pool: Pool, intentIds: readonly string[]): Promise<void> {
  await withRecords(() =>
    pool.query(
      `insert into clearing_failure (intent_id, reason, metadata)
       select intent_id, '${unexplained}', '{}' from evidence
       where intent_id = any($1::uuid[]) and insert_time < now() - interval '1 minute'
       order by intent_id on conflict do nothing`,
      [intentIds],
    ),
  );
}

/** The shortest time between two notifications, in milliseconds: each costs a listener a look at the ledger. */
const announceMs = 4;

/**
 * Makes what wakes the listeners of clearedChannel: at once, then at most once in `announceMs`. A notification that fails
 * is lost, which costs listeners some latency and nothing else. It carries no data, so it need not wait for the disk.
 */
export function createAnnouncer(pool: Pool, onLost: (error: unknown) => void): () => void {
  // Two statements in one message are one transaction.
  const text = `set local synchronous_commit = off; notify ${clearedChannel}`;
  let wanted = false;
  let busy = false;
  const send = async () => {
    busy = true;
    while (wanted) {
      wanted = false;
      await Promise.all([withRecords(() => pool.query(text)).catch(onLost), sleep(announceMs)]);
    }
    busy = false;
  };
  return () => {
    wanted = true;
    if (!busy) void send();
  };
}
