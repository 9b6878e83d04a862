import type { Spend } from "#common/approval/judge.ts";
import { inTransaction } from "./in-transaction.ts";
import { type Pool, type PoolClient, withRecords } from "./pool.ts";

/** The tables that hold what passed without approval, of which each belongs to one service. */
export type DaySumsTable = "attestation_day_sum" | "clearing_day_sum";

/** What takes something of a day's sum by being stored. */
export interface Counted {
  readonly intentId: string;
  readonly spends: readonly Spend[];
}

/** How what is counted is stored, in the transaction that counts it. */
export interface CountedInsert<Item extends Counted> {
  /** Which of the ids are stored already: they are not judged again, and not counted again. */
  known(client: PoolClient, intentIds: readonly string[]): Promise<ReadonlySet<string>>;
  /** Stores items unless their ids are stored by now; returns the ids that it stored. */
  insert(client: PoolClient, items: readonly Item[]): Promise<ReadonlySet<string>>;
}

const minutesADay = 1_440;

/**
 * Stores what the sums of the day have room for, in the order of the items, and counts it, in one transaction that holds a
 * lock on each sum: however many replicas store at once, no sum passes its bound. Ids are unique among the items. Returns
 * what was refused, by intent id. RECORDS_UNAVAILABLE.
 */
export function insertCounted<Item extends Counted>(
  pool: Pool,
  table: DaySumsTable,
  items: readonly Item[],
  how: CountedInsert<Item>,
): Promise<ReadonlyMap<string, Spend>> {
  return inTransaction(pool, async (client) => {
    const keys = [...new Set(items.flatMap(({ spends }) => spends.map(keyOf)))];
    // In one order, or two transactions would wait for each other.
    await client.query(
      `select pg_advisory_xact_lock(hashtextextended('${table}/' || key, 0))
       from (select unnest($1::text[]) as key order by 1) as ordered`,
      [keys.sort()],
    );
    const known = await how.known(
      client,
      items.map(({ intentId }) => intentId),
    );
    const sums = await readSums(client, table, keys);
    const refused = new Map<string, Spend>();
    const fitting: Item[] = [];
    for (const item of items) {
      if (known.has(item.intentId)) continue;
      const beyond = firstBeyond(sums, item.spends);
      if (beyond === undefined) {
        fitting.push(item);
        for (const spend of item.spends) add(sums, spend);
      } else refused.set(item.intentId, beyond);
    }
    if (fitting.length === 0) return refused;
    const stored = await how.insert(client, fitting);
    await count(
      client,
      table,
      fitting.filter(({ intentId }) => stored.has(intentId)),
    );
    return refused;
  });
}

/** The first sum of the day that has no room for what would be taken of it; undefined if all have. Counts nothing. */
export async function findBeyond(
  pool: Pool,
  table: DaySumsTable,
  spends: readonly Spend[],
): Promise<Spend | undefined> {
  if (spends.length === 0) return undefined;
  const sums = await withRecords(() => readSums(pool, table, spends.map(keyOf)));
  return firstBeyond(sums, spends);
}

/** By what a sum is kept: names of rules have no slash. */
function keyOf({ rule, ledger }: Pick<Spend, "rule" | "ledger">): string {
  return `${rule.name}/${ledger}`;
}

function firstBeyond(sums: ReadonlyMap<string, bigint>, spends: readonly Spend[]) {
  return spends.find((spend) => (sums.get(keyOf(spend)) ?? 0n) + spend.amount >= spend.below);
}

function add(sums: Map<string, bigint>, spend: Spend): void {
  sums.set(keyOf(spend), (sums.get(keyOf(spend)) ?? 0n) + spend.amount);
}

/** What was counted in the last day, and up to a minute more: minutes are kept, so that a sum has few rows to add up. */
async function readSums(
  client: Pick<PoolClient, "query">,
  table: DaySumsTable,
  keys: readonly string[],
): Promise<Map<string, bigint>> {
  const { rows } = await client.query<{ key: string; sum: string }>(
    `select key, sum(amount)::text as sum from ${table}
     where key = any($1::text[]) and minute >= ${thisMinute} - ${minutesADay} group by key`,
    [keys],
  );
  return new Map(rows.map(({ key, sum }) => [key, BigInt(sum)]));
}

/** By the clock of PostgreSQL, which every replica has in common, and after the lock was waited for. */
const thisMinute = "floor(extract(epoch from clock_timestamp()) / 60)::bigint";

async function count(
  client: PoolClient,
  table: DaySumsTable,
  items: readonly Counted[],
): Promise<void> {
  const sums = new Map<string, bigint>();
  for (const { spends } of items) for (const spend of spends) add(sums, spend);
  if (sums.size === 0) return;
  await client.query(
    `insert into ${table} (key, minute, amount)
     select key, ${thisMinute}, amount from unnest($1::text[], $2::numeric[]) as new (key, amount)
     on conflict (key, minute) do update set amount = ${table}.amount + excluded.amount`,
    [[...sums.keys()], [...sums.values()].map(String)],
  );
}
