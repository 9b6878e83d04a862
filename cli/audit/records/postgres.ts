import { DatabaseError } from "pg";
import { hex, unpackPostings } from "#common/postgres/evidence.ts";
import { readLedgerIdentity } from "#common/postgres/ledger-identity.ts";
import { createPool, type Pool, withRecords } from "#common/postgres/pool.ts";
import { Problem } from "../../command/problem.ts";
import type { EvidenceEntry, OrderAttempt, OrderEntry, RecordsReader } from "./ports.ts";

/** A page may have to pass over a table of orders that nobody paid, in a database that is busy otherwise. */
const statementTimeoutMs = 60_000;
/** Each is somebody's decision: a house that has taken so many ledgers for its own is told of the latest. */
const adoptionsMax = 100;

const tables = [
  "evidence",
  "clearing_failure",
  "ledger_adoption",
  "checkout_order",
  "checkout_entry",
  "checkout_attempt",
] as const;
type Table = (typeof tables)[number];

/** A time of PostgreSQL's as nanoseconds, in SQL: whole microseconds are all that it keeps. */
const nanoseconds = (column: string) =>
  `(extract(epoch from ${column}) * 1000000)::numeric(30) * 1000`;

/**
 * The records for the way from them to the ledger; `select` on the tables of Clearing and Checkout is all it needs, and
 * it creates none. RECORDS_UNAVAILABLE; a Problem if the database is not there.
 */
export async function openRecords(
  databaseUrl: string,
): Promise<RecordsReader & { close(): Promise<void> }> {
  const pool = createPool({
    databaseUrl,
    applicationName: "sovr-audit-records",
    connectionsMax: 1,
    statementTimeoutMs,
  });
  try {
    const has = await findTables(pool);
    return { ...createReader(pool, has), close: () => pool.end() };
  } catch (error) {
    await pool.end();
    throw error;
  }
}

async function findTables(pool: Pool): Promise<(...names: readonly Table[]) => boolean> {
  const rows = await ask<{ name: Table }>(
    pool,
    "select name from unnest($1::text[]) as name where to_regclass(name) is not null",
    [tables],
  );
  const found = new Set(rows.map(({ name }) => name));
  return (...names) => names.every((name) => found.has(name));
}

function createReader(pool: Pool, has: (...names: readonly Table[]) => boolean): RecordsReader {
  const hasEvidence = has("evidence", "clearing_failure");
  const hasOrders = hasEvidence && has("checkout_order", "checkout_entry", "checkout_attempt");
  return {
    identity: () => forbiddenAsProblem(() => readLedgerIdentity(pool)),
    async adoptions() {
      if (!has("ledger_adoption")) return [];
      const rows = await ask<Record<"adopt_ns", string> & Record<"birth" | "mark", string | null>>(
        pool,
        `select ${nanoseconds("adopt_time")} as adopt_ns, old_birth_timestamp as birth, old_high_water_mark as mark
         from ledger_adoption order by number desc limit ${adoptionsMax}`,
      );
      const optional = (text: string | null) => (text === null ? undefined : BigInt(text));
      return rows.reverse().map(({ adopt_ns, birth, mark }) => ({
        adoptNs: BigInt(adopt_ns),
        oldBirth: optional(birth),
        oldMark: optional(mark),
      }));
    },
    async hasEvidence() {
      if (!hasEvidence) return false;
      const [row] = await ask<{ found: boolean }>(
        pool,
        "select exists (select from evidence) as found",
      );
      return row?.found === true;
    },
    async evidence(after, limit) {
      if (!hasEvidence) return [];
      return (await ask<EvidenceRow>(pool, selectEvidence, [after, limit])).map(parseEvidence);
    },
    async acknowledged(intentIds) {
      const rows = [
        ...(await ask<SignRow>(pool, selectResolutions, [intentIds])),
        // After the others: what Checkout was told says when.
        ...(hasOrders ? await ask<SignRow>(pool, selectTold, [intentIds]) : []),
      ];
      return new Map(
        rows.map(({ intent_id, told, ns }) => [intent_id, { by: told, ns: BigInt(ns) }]),
      );
    },
    async accountsOf(intentIds) {
      const rows = await ask<{ intent_id: string; postings: Buffer }>(
        pool,
        "select intent_id, postings from evidence where intent_id = any($1::uuid[])",
        [intentIds],
      );
      return new Map(
        rows.map(({ intent_id, postings }) => [
          intent_id,
          unpackPostings(postings).flatMap((leg) => [leg.debitAccountId, leg.creditAccountId]),
        ]),
      );
    },
    async orders(after, limit) {
      if (!hasOrders) return [];
      return (await ask<OrderRow>(pool, selectOrders, [after, limit])).map(parseOrder);
    },
    async attempts(after, limit) {
      if (!hasOrders) return [];
      return (await ask<AttemptRow>(pool, selectAttempts, [after, limit])).map(parseAttempt);
    },
  };
}

async function ask<Row extends object>(
  pool: Pool,
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  return forbiddenAsProblem(async () => {
    const { rows } = await withRecords(() => pool.query<Row>(text, [...values]));
    return rows;
  });
}

/** SQLSTATEs of what an operator can put right: no right to read, no such database, no such login. */
const forbidden = /^(42501|3D000|28)/;

async function forbiddenAsProblem<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DatabaseError) || !forbidden.test(error.code ?? "")) throw error;
    throw new Problem(`the records cannot be read: ${error.message}`);
  }
}

interface EvidenceRow {
  readonly intent_id: string;
  readonly digest: Buffer;
  readonly legs: number;
  readonly stored_ns: string;
  readonly expire_time: string;
  readonly reason: string | null;
  readonly failed_ns: string | null;
}

const selectEvidence = `
  select e.intent_id, e.digest, length(e.postings) / 54 as legs, ${nanoseconds("e.insert_time")} as stored_ns,
    e.expire_time, f.reason, ${nanoseconds("f.failure_time")} as failed_ns
  from evidence e left join clearing_failure f on f.intent_id = e.intent_id
  where e.intent_id > $1 order by e.intent_id limit $2`;

function parseEvidence(row: EvidenceRow): EvidenceEntry {
  const { reason, failed_ns } = row;
  return {
    intentId: row.intent_id,
    digest: hex(row.digest),
    legs: row.legs,
    storedNs: BigInt(row.stored_ns),
    expireNs: BigInt(row.expire_time) * 1_000_000_000n,
    failure: reason === null ? undefined : { reason, failedNs: BigInt(failed_ns ?? 0) },
  };
}

interface SignRow {
  readonly intent_id: string;
  readonly told: string;
  readonly ns: string;
}

/** What of a pending intent's end the ledger has told to those who came too late. */
const selectResolutions = `
  select r.pending_intent_id as intent_id, ${nanoseconds("f.failure_time")} as ns,
    'intent ' || r.intent_id || ' failed with ' || f.reason as told
  from evidence r join clearing_failure f on f.intent_id = r.intent_id
  where r.pending_intent_id = any($1::uuid[])
    and f.reason in ('PENDING_ALREADY_POSTED', 'PENDING_ALREADY_VOIDED', 'PENDING_EXPIRED')`;

const selectTold = `
  select intent_id, commit_timestamp as ns, 'Checkout was told so' as told
  from checkout_attempt
  where intent_id = any($1::uuid[]) and state = 'CLEARED' and commit_timestamp is not null`;

interface OrderRow {
  readonly intent_id: string;
  readonly merchant_id: string;
  readonly order_id: string;
  readonly state: string;
  readonly change_ns: string;
  readonly purchased: boolean;
  readonly refunded: boolean;
  readonly backed: boolean;
}

const clearedAttempt =
  "exists (select from checkout_attempt a where a.entry_id = e.entry_id and a.state = 'CLEARED')";

const selectOrders = `
  select o.intent_id, o.merchant_id, o.order_id, o.state, ${nanoseconds("o.change_time")} as change_ns,
    exists (select from checkout_entry e where e.checkout_id = o.intent_id
      and e.kind = 'PURCHASE' and e.state = 'CLEARED' and ${clearedAttempt}) as purchased,
    exists (select from checkout_entry e where e.checkout_id = o.intent_id
      and e.kind = 'REFUND' and e.state = 'CLEARED' and ${clearedAttempt}) as refunded,
    not exists (select from checkout_entry e where e.checkout_id = o.intent_id
      and e.kind <> 'PURCHASE' and e.state in ('CLEARED', 'CORRECTED') and not ${clearedAttempt}) as backed
  from checkout_order o
  where o.intent_id > $1 and o.state in ('CLEARED', 'PARTLY_REFUNDED', 'REFUNDED')
  order by o.intent_id limit $2`;

function parseOrder(row: OrderRow): OrderEntry {
  return {
    checkoutId: row.intent_id,
    merchantId: row.merchant_id,
    orderId: row.order_id,
    state: row.state,
    changeNs: BigInt(row.change_ns),
    isPurchased: row.purchased,
    isRefunded: row.refunded,
    isBacked: row.backed,
  };
}

interface AttemptRow {
  readonly intent_id: string;
  readonly checkout_id: string;
  readonly merchant_id: string;
  readonly order_id: string;
  readonly order_state: string;
  readonly kind: string;
  readonly state: "CLEARED" | "DEAD";
  readonly digest: Buffer | null;
  readonly legs: number;
  readonly commit_timestamp: string | null;
  readonly create_ns: string;
  readonly evidence_digest: Buffer | null;
}

const selectAttempts = `
  select a.intent_id, o.intent_id as checkout_id, o.merchant_id, o.order_id, o.state as order_state, e.kind, a.state,
    a.digest, jsonb_array_length(a.intent -> 'postings') as legs, a.commit_timestamp,
    ${nanoseconds("a.create_time")} as create_ns, evidence.digest as evidence_digest
  from checkout_attempt a
  join checkout_entry e on e.entry_id = a.entry_id
  join checkout_order o on o.intent_id = e.checkout_id
  left join evidence on evidence.intent_id = a.intent_id
  where a.intent_id > $1 and a.state in ('CLEARED', 'DEAD')
  order by a.intent_id limit $2`;

function parseAttempt(row: AttemptRow): OrderAttempt {
  const { digest, evidence_digest } = row;
  return {
    intentId: row.intent_id,
    // One that was buried before it was attested has none, and no transfer carries this one.
    digest: digest === null ? noDigest : hex(digest),
    legs: row.legs,
    checkoutId: row.checkout_id,
    merchantId: row.merchant_id,
    orderId: row.order_id,
    orderState: row.order_state,
    kind: row.kind,
    state: row.state,
    commitNs: BigInt(row.commit_timestamp ?? 0),
    createNs: BigInt(row.create_ns),
    evidenceDigest: evidence_digest === null ? undefined : hex(evidence_digest),
  };
}

const noDigest = `0x${"00".repeat(32)}`;
