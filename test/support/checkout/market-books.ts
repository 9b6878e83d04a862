import type { Stripe } from "stripe";
import type { Client, Transfer } from "tigerbeetle-node";
import { transferId } from "#common/ledger/transfer-rows.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import type { Pool } from "#common/postgres/pool.ts";
import { everythingIn } from "#common/tigerbeetle/transfer-codec.ts";
import { otherMerchant } from "./market.ts";

/** What Checkout has written about an order. */
export interface OrderRow {
  readonly intentId: string;
  readonly orderId: string;
  readonly wallet: string;
  readonly byCard: boolean;
  readonly items: readonly { readonly sku: string; readonly quantity: number }[];
  readonly amount: bigint;
  readonly state: string;
  readonly paymentIntentId: string;
  readonly returnOwed: boolean;
  readonly revision: bigint;
  readonly entries: readonly EntryRow[];
  readonly transitions: readonly { readonly from: string | null; readonly to: string }[];
}

export interface EntryRow {
  readonly entryId: string;
  readonly kind: string;
  readonly state: string;
  readonly amount: bigint;
  readonly items: OrderRow["items"];
  readonly stripeRefundId: string;
  readonly external: boolean;
  readonly attempts: readonly { readonly intentId: string; readonly state: string }[];
}

/** Everything that is written anywhere, read past the services. */
export interface Books {
  readonly orders: readonly OrderRow[];
  /** What the ledger has of each intent, by the intent's id. */
  readonly chains: ReadonlyMap<string, readonly Transfer[]>;
  /** The chains of no intent of Checkout's. */
  readonly others: readonly (readonly Transfer[])[];
  /** The chains under the ids of Checkout's intents that wallets have cleared for another merchant. */
  readonly foreign: readonly (readonly Transfer[])[];
  /** Posted debits less posted credits, by account. */
  readonly debits: ReadonlyMap<bigint, bigint>;
  readonly accountSums: {
    readonly debits: bigint;
    readonly credits: bigint;
    readonly pending: bigint;
  };
  readonly payments: ReadonlyMap<string, Stripe.PaymentIntent>;
  /** By PaymentIntent. */
  readonly refunds: ReadonlyMap<string, readonly Stripe.Refund[]>;
  readonly charges: ReadonlyMap<string, readonly Stripe.Charge[]>;
}

export interface BookOptions {
  readonly pool: Pool;
  readonly ledger: Client;
  readonly batchMax: number;
  readonly stripe: Stripe;
}

export async function readBooks({ pool, ledger, batchMax, stripe }: BookOptions): Promise<Books> {
  const orders = await readOrders(pool);
  const transfers = await scan((filter) => ledger.queryTransfers(filter), batchMax);
  const accounts = await scan((filter) => ledger.queryAccounts(filter), batchMax);
  const intentIds = orders.flatMap(({ entries }) =>
    entries.flatMap(({ attempts }) => attempts.map(({ intentId }) => intentId)),
  );
  const intentOf = new Map(intentIds.map((intentId) => [transferId(intentId, 0), intentId]));
  const elsewhere = await readElsewhere(pool);
  const chains = new Map<string, readonly Transfer[]>();
  const others: (readonly Transfer[])[] = [];
  const foreign: (readonly Transfer[])[] = [];
  for (const chain of chainsOf(transfers)) {
    const intentId = intentOf.get(chain[0]?.id ?? 0n);
    if (intentId === undefined) others.push(chain);
    else if (elsewhere.has(intentId)) foreign.push(chain);
    else chains.set(intentId, chain);
  }
  const payments = await everything(stripe.paymentIntents.list({ limit: 100 }));
  const refunds = await everything(stripe.refunds.list({ limit: 100 }));
  const charges = await everything(stripe.charges.list({ limit: 100 }));
  return {
    orders,
    chains,
    others,
    foreign,
    debits: new Map(
      accounts.map(({ id, debits_posted, credits_posted }) => [id, debits_posted - credits_posted]),
    ),
    accountSums: {
      debits: accounts.reduce((sum, { debits_posted }) => sum + debits_posted, 0n),
      credits: accounts.reduce((sum, { credits_posted }) => sum + credits_posted, 0n),
      pending: accounts.reduce((sum, row) => sum + row.debits_pending + row.credits_pending, 0n),
    },
    payments: new Map(payments.map((payment) => [payment.id, payment])),
    refunds: Map.groupBy(refunds, ({ payment_intent }) => String(payment_intent)),
    charges: Map.groupBy(charges, ({ payment_intent }) => String(payment_intent)),
  };
}

/** The ids of the intents that are of another merchant, by the evidence, which the audit holds against the ledger. */
async function readElsewhere(pool: Pool): Promise<ReadonlySet<string>> {
  const { rows } = await pool.query<{ intent_id: string }>(
    "select intent_id from evidence where merchant_id = $1",
    [otherMerchant],
  );
  return new Set(rows.map(({ intent_id }) => intent_id));
}

/** The id of a buyer's account in dollars. */
export function buyerAccount({ wallet }: Pick<OrderRow, "wallet">): bigint {
  return walletAccountId(wallet, 1);
}

function chainsOf(transfers: readonly Transfer[]): Transfer[][] {
  const chains: Transfer[][] = [];
  let chain: Transfer[] = [];
  for (const transfer of transfers) {
    chain.push(transfer);
    // The flag `linked`: another one follows.
    if ((transfer.flags & 1) !== 0) continue;
    chains.push(chain);
    chain = [];
  }
  return chains;
}

async function scan<Row extends { readonly timestamp: bigint }>(
  query: (filter: ReturnType<typeof everythingIn>) => Promise<Row[]>,
  limit: number,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (;;) {
    const timestampMin = (rows.at(-1)?.timestamp ?? 0n) + 1n;
    const page = await query(everythingIn({ timestampMin, timestampMax: 0n, limit }));
    rows.push(...page);
    if (page.length < limit) return rows;
  }
}

async function everything<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of pages) all.push(item);
  return all;
}

interface OrderJson {
  readonly intent_id: string;
  readonly order_id: string;
  readonly wallet: string;
  readonly payment_method: string;
  readonly items: OrderRow["items"];
  readonly amount: string;
  readonly state: string;
  readonly payment_intent_id: string | null;
  readonly return_owed: boolean;
  readonly revision: string;
  readonly entries: readonly (Omit<EntryRow, "amount" | "stripeRefundId"> & {
    readonly amount: string;
    readonly stripeRefundId: string | null;
  })[];
  readonly transitions: OrderRow["transitions"];
}

const selectOrders = `
  select o.intent_id, o.order_id, '0x' || encode(o.wallet, 'hex') as wallet, o.payment_method, o.items, o.amount,
    o.state, o.payment_intent_id, o.return_owed, o.revision,
    (select json_agg(json_build_object('entryId', e.entry_id, 'kind', e.kind, 'state', e.state, 'items', e.items,
        'amount', (select coalesce(sum((p ->> 'amount')::numeric), 0)::text from jsonb_array_elements(e.portions) p),
        'stripeRefundId', e.stripe_refund_id, 'external', e.external, 'attempts',
        (select json_agg(json_build_object('intentId', a.intent_id, 'state', a.state) order by a.number)
          from checkout_attempt a where a.entry_id = e.entry_id)) order by e.number)
      from checkout_entry e where e.checkout_id = o.intent_id) as entries,
    (select json_agg(json_build_object('from', t.from_state, 'to', t.to_state) order by t.revision, t.step)
      from checkout_transition t where t.intent_id = o.intent_id) as transitions
  from checkout_order o order by o.intent_id desc`;

async function readOrders(pool: Pool): Promise<OrderRow[]> {
  const { rows } = await pool.query<OrderJson>(selectOrders);
  return rows.map((row) => ({
    intentId: row.intent_id,
    orderId: row.order_id,
    wallet: row.wallet,
    byCard: row.payment_method === "CARD",
    items: row.items,
    amount: BigInt(row.amount),
    state: row.state,
    paymentIntentId: row.payment_intent_id ?? "",
    returnOwed: row.return_owed,
    revision: BigInt(row.revision),
    entries: row.entries.map((entry) => ({
      ...entry,
      amount: BigInt(entry.amount),
      stripeRefundId: entry.stripeRefundId ?? "",
    })),
    transitions: row.transitions,
  }));
}
