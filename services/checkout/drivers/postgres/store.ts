import { walletBytes } from "#common/address.ts";
import { inTransaction } from "#common/postgres/in-transaction.ts";
import { type Pool, type PoolClient, withRecords } from "#common/postgres/pool.ts";
import type { CheckoutRecord } from "../../order/record.ts";
import type {
  CheckoutFilter,
  CheckoutStore,
  DueCheckout,
  Overdue,
  StoredOrderKey,
} from "../../ports.ts";
import {
  parseRecord,
  type RecordRow,
  type Statement,
  selectById,
  selectByWallet,
  selectMerchantsOwn,
  selectRecord,
  selectTwoByOrder,
} from "./record-codec.ts";
import { changeCheckout, insertCheckout } from "./write-checkout.ts";

/** Where the SQL files are. */
export const migrations = new URL("../../migrations/", import.meta.url);

/** The checkout store on PostgreSQL. `onSuccess` hears of every transaction that was answered. */
export function createCheckoutStore(pool: Pool, onSuccess: () => void): CheckoutStore {
  const transaction = async <Result>(work: (client: PoolClient) => Promise<Result>) => {
    const result = await inTransaction(pool, work);
    onSuccess();
    return result;
  };
  const readAll = async (statement: Statement, values: readonly unknown[]) => {
    const { rows } = await withRecords(() =>
      pool.query<RecordRow>({ ...statement, values: [...values] }),
    );
    onSuccess();
    return rows.map(parseRecord);
  };
  return {
    insert: (...args) => transaction((client) => insertCheckout(client, ...args)),
    read: async (intentId) => (await readAll(selectById, [intentId]))[0],
    findOrders: (key) => readAll(...orderQuery(key)),
    async findByPayment(paymentIntentId) {
      const { rows } = await withRecords(() =>
        pool.query<{ intent_id: string }>(
          "select intent_id from checkout_order where payment_intent_id = $1",
          [paymentIntentId],
        ),
      );
      return rows[0]?.intent_id;
    },
    list: (filter, after, limit) => listCheckouts(pool, filter, after, limit),
    change: (intentId, decide) => transaction((client) => changeCheckout(client, intentId, decide)),
    claimDue: (limit) => claimDue(pool, limit),
    readOverdue: (forMs) => readOverdue(pool, forMs),
  };
}

function orderQuery({ merchantId, orderId, owner }: StoredOrderKey): [Statement, unknown[]] {
  if (owner === "ANY") return [selectTwoByOrder, [merchantId, orderId]];
  if (owner === "MERCHANT") return [selectMerchantsOwn, [merchantId, orderId]];
  return [selectByWallet, [merchantId, orderId, walletBytes(owner)]];
}

async function listCheckouts(
  pool: Pool,
  filter: CheckoutFilter,
  after: string | undefined,
  limit: number,
): Promise<CheckoutRecord[]> {
  const values: unknown[] = [limit];
  const where: string[] = [];
  const add = (condition: (parameter: string) => string, value: unknown) => {
    values.push(value);
    where.push(condition(`$${values.length}`));
  };
  if (filter.merchantId !== "") add((value) => `o.merchant_id = ${value}`, filter.merchantId);
  if (filter.wallet !== "") add((value) => `o.wallet = ${value}`, walletBytes(filter.wallet));
  if (filter.state !== undefined) add((value) => `o.state = ${value}`, filter.state);
  if (after !== undefined) add((value) => `o.intent_id < ${value}`, after);
  const condition = where.length === 0 ? "" : `where ${where.join(" and ")}`;
  const { rows } = await withRecords(() =>
    pool.query<RecordRow>(
      `${selectRecord} ${condition} order by o.intent_id desc limit $1`,
      values,
    ),
  );
  return rows.map(parseRecord);
}

/** Since when a checkout is due: what waits for a time, from that time on. */
const dueSince = `case when state in ('AWAITING_SIGNATURE', 'AWAITING_PAYMENT')
  then greatest(change_time, expire_time) else change_time end`;

/** Once in a quarter of the time for which nothing has changed: soon at first, and no storm after an outage. */
async function claimDue(pool: Pool, limit: number): Promise<DueCheckout[]> {
  const { rows } = await withRecords(() =>
    pool.query<{ intent_id: string; overdue_ms: string }>(
      `update checkout_order set next_check_time = now() + least(greatest(
         (now() - change_time) / 4, interval '5 seconds'), interval '5 minutes')
       where intent_id in (
         select intent_id from checkout_order where next_check_time <= now()
         order by next_check_time limit $1 for update skip locked)
       returning intent_id, extract(epoch from now() - ${dueSince}) * 1000 as overdue_ms`,
      [limit],
    ),
  );
  return rows.map(({ intent_id, overdue_ms }) => ({
    intentId: intent_id,
    overdueMs: Math.max(0, Number(overdue_ms)),
  }));
}

async function readOverdue(pool: Pool, forMs: number): Promise<Overdue> {
  const { rows } = await withRecords(() =>
    pool.query<{ count: string; oldest_ms: string | null }>(
      `select count(*) as count, extract(epoch from now() - min(since)) * 1000 as oldest_ms
       from (select ${dueSince} as since from checkout_order where next_check_time is not null) as due
       where since <= now() - $1 * interval '1 millisecond'`,
      [forMs],
    ),
  );
  return { count: Number(rows[0]?.count ?? 0), oldestMs: Number(rows[0]?.oldest_ms ?? 0) };
}
