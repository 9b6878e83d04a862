import pg from "pg";
import { walletBytes } from "#common/address.ts";
import { DomainError } from "#common/domain-error.ts";
import type { Attestation, Intent } from "#common/intent/intent.ts";
import type { PoolClient } from "#common/postgres/pool.ts";
import { packTree } from "#common/postgres/trees.ts";
import { limitExceeded } from "#common/rpc/limits/limit-exceeded.ts";
import { checkoutNotFound } from "../../order/read-checkout.ts";
import type { CheckoutRecord, CheckoutState, Order } from "../../order/record.ts";
import type { Change, CheckoutStore, EntryChange, NewEntry } from "../../ports.ts";
import { nextCheckMs } from "../../settle/next-step.ts";
import {
  formatJson,
  parseRecord,
  type RecordRow,
  selectById,
  selectConflicting,
} from "./record-codec.ts";

/** The channel on which a changed checkout is told; the payload is its intent id. */
export const checkoutChannel = "sovr_checkout_changed";

/** See CheckoutStore.insert. Runs in a transaction. */
export async function insertCheckout(
  client: PoolClient,
  order: Order,
  purchase: Intent,
  transitions: Parameters<CheckoutStore["insert"]>[2],
  openMax: number | undefined,
): ReturnType<CheckoutStore["insert"]> {
  const inserted = await client.query(
    `insert into checkout_order (intent_id, merchant_id, order_id, wallet, payment_method, items, amount, ledger,
       create_time, expire_time, state, merchants_own)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict do nothing`,
    [
      order.intentId,
      order.merchantId,
      order.orderId,
      walletBytes(order.wallet),
      order.paymentMethod,
      formatJson(order.items),
      order.amount.toString(),
      order.ledger,
      new Date(order.createTimeMs),
      new Date(order.expireTimeMs),
      order.state,
      order.merchantsOwn,
    ],
  );
  if (inserted.rowCount === 1) {
    if (openMax !== undefined) await checkOpen(client, order, openMax);
    const entry = {
      ...noRefund,
      kind: "PURCHASE",
      intent: purchase,
      portions: [],
      items: order.items,
    } as const;
    await insertEntry(client, order.intentId, 1, entry);
    for (const [step, transition] of transitions.entries()) {
      await insertTransition(client, order, step, transitions[step - 1]?.to, transition);
    }
  }
  const record = await readConflicting(client, order);
  if (inserted.rowCount === 1) {
    await client.query("update checkout_order set next_check_time = $2 where intent_id = $1", [
      order.intentId,
      nextCheckTime(record),
    ]);
  }
  return { record, inserted: inserted.rowCount === 1 };
}

/**
 * Counts the new order with those of its kind. One at a time: the lock is held until the transaction ends, and the count is
 * another statement, so it sees all that its last holder wrote.
 */
async function checkOpen(client: PoolClient, order: Order, openMax: number): Promise<void> {
  const maker = order.merchantsOwn ? order.merchantId : "";
  await client.query("select pg_advisory_xact_lock(hashtextextended($1, 0))", [
    `checkout_open ${order.wallet} ${maker}`,
  ]);
  const { rows } = await client.query<{ open: number }>(
    `select count(*)::int as open from checkout_order
     where wallet = $1 and state in ('CREATED', 'AWAITING_SIGNATURE', 'AWAITING_PAYMENT')
       and merchants_own = $2 and ($3 = '' or merchant_id = $3)`,
    [walletBytes(order.wallet), order.merchantsOwn, maker],
  );
  if ((rows[0]?.open ?? 0) > openMax) throw limitExceeded(openMax, "open checkouts of one wallet");
}

const noRefund = { stripeRefundId: "", external: false, correctsEntryId: "" };

/** What is stored under the intent id, or else under the order key. Another statement, so it sees who was first. */
async function readConflicting(client: PoolClient, order: Order): Promise<CheckoutRecord> {
  const { rows } = await client.query<RecordRow>({
    ...selectConflicting,
    values: [
      order.intentId,
      order.merchantId,
      order.orderId,
      order.merchantsOwn,
      walletBytes(order.wallet),
    ],
  });
  const [row] = rows;
  if (row === undefined) throw new Error(`checkout ${order.intentId} was not stored`);
  return parseRecord(row);
}

/** See CheckoutStore.change. Runs in a transaction. */
export async function changeCheckout(
  client: PoolClient,
  intentId: string,
  decide: (record: CheckoutRecord) => Change | undefined,
): Promise<CheckoutRecord> {
  // The lock is a statement of its own: the next one's snapshot then has all that its last holder wrote.
  await client.query("select 1 from checkout_order where intent_id = $1 for update", [intentId]);
  const before = await readLocked(client, intentId);
  const change = decide(before);
  if (change === undefined) return before;
  await write(client, before, change);
  const after = await readLocked(client, intentId);
  await client.query(
    `with scheduled as (update checkout_order set next_check_time = $2 where intent_id = $1)
     select pg_notify('${checkoutChannel}', $3)`,
    [intentId, nextCheckTime(after), intentId],
  );
  return after;
}

async function readLocked(client: PoolClient, intentId: string): Promise<CheckoutRecord> {
  const { rows } = await client.query<RecordRow>({ ...selectById, values: [intentId] });
  const [row] = rows;
  if (row === undefined) throw checkoutNotFound(intentId);
  return parseRecord(row);
}

async function write(client: PoolClient, before: CheckoutRecord, change: Change): Promise<void> {
  const { order, entries } = before;
  if (change.newEntry !== undefined) {
    await insertEntry(client, order.intentId, entries.length + 1, change.newEntry);
  }
  for (const entry of change.entries ?? []) await updateEntry(client, entry);
  if (change.attempt !== undefined) await updateAttempt(client, change.attempt);
  if (change.newAttempt !== undefined) {
    const { entryId, intent } = change.newAttempt;
    const known = entries.find((entry) => entry.entryId === entryId)?.attempts.length ?? 0;
    await insertAttempt(client, entryId, known + 1, intent);
  }
  await updateOrder(client, order, change);
  if (change.state !== undefined) {
    const next = { ...order, revision: order.revision + 1n };
    await insertTransition(client, next, 0, order.state, change.state);
  }
}

async function updateOrder(client: PoolClient, order: Order, change: Change): Promise<void> {
  const next = { ...order, ...change.order };
  await client.query(
    `update checkout_order set state = $2, payment_intent_id = $3, wallet_signature = $4, failure_reason = $5,
       decline_code = $6, return_owed = $7, returned_refund_id = $8, revision = revision + 1,
       change_time = clock_timestamp()
     where intent_id = $1`,
    [
      order.intentId,
      change.state?.to ?? order.state,
      orNull(next.paymentIntentId),
      bytesOrNull(next.walletSignature),
      next.failureReason,
      next.declineCode.slice(0, 64),
      next.returnOwed,
      orNull(next.returnedRefundId),
    ],
  );
}

async function insertTransition(
  client: PoolClient,
  order: Pick<Order, "intentId" | "revision">,
  step: number,
  from: CheckoutState | undefined,
  transition: { readonly to: CheckoutState; readonly cause: string },
): Promise<void> {
  await client.query(
    `insert into checkout_transition (intent_id, revision, step, from_state, to_state, cause)
     values ($1, $2, $3, $4, $5, $6)`,
    [
      order.intentId,
      order.revision.toString(),
      step,
      from ?? null,
      transition.to,
      transition.cause.slice(0, 256),
    ],
  );
}

async function insertEntry(
  client: PoolClient,
  checkoutId: string,
  number: number,
  entry: NewEntry,
): Promise<void> {
  const entryId = entry.intent.intentId;
  await insertOnce(
    client,
    entryId,
    `insert into checkout_entry (entry_id, checkout_id, number, kind, state, portions, items, stripe_refund_id,
       external, corrects_entry_id)
     values ($1, $2, $3, $4, 'PENDING', $5, $6, $7, $8, $9)`,
    [
      entryId,
      checkoutId,
      number,
      entry.kind,
      formatJson(entry.portions),
      formatJson(entry.items),
      orNull(entry.stripeRefundId),
      entry.external,
      orNull(entry.correctsEntryId),
    ],
  );
  await insertAttempt(client, entryId, 1, entry.intent);
}

async function insertAttempt(
  client: PoolClient,
  entryId: string,
  number: number,
  intent: Intent,
): Promise<void> {
  await insertOnce(
    client,
    intent.intentId,
    `insert into checkout_attempt (intent_id, entry_id, number, intent, state)
     values ($1, $2, $3, $4, 'PENDING')`,
    [intent.intentId, entryId, number, formatJson(intent)],
  );
}

/** Inserts what has an intent id of its own. An id stands for one intent in all of Checkout, whatever it is for. */
async function insertOnce(
  client: PoolClient,
  intentId: string,
  text: string,
  values: unknown[],
): Promise<void> {
  try {
    await client.query(text, values);
  } catch (error) {
    const isTaken =
      error instanceof pg.DatabaseError &&
      error.code === "23505" &&
      /^checkout_(attempt|entry)_pkey$/.test(error.constraint ?? "");
    if (!isTaken) throw error;
    throw new DomainError("INTENT_ID_REUSED", "the intent id stands for another intent", {
      metadata: { intentId },
      cause: error,
    });
  }
}

async function updateEntry(client: PoolClient, entry: EntryChange): Promise<void> {
  await client.query(
    `update checkout_entry set state = coalesce($2, state), stripe_refund_id = coalesce($3, stripe_refund_id)
     where entry_id = $1`,
    [entry.entryId, entry.state ?? null, orNull(entry.stripeRefundId ?? "")],
  );
}

async function updateAttempt(
  client: PoolClient,
  attempt: NonNullable<Change["attempt"]>,
): Promise<void> {
  const attestation: Attestation | undefined = attempt.attestation;
  await client.query(
    `update checkout_attempt set state = coalesce($2, state), commit_timestamp = coalesce($3, commit_timestamp),
       digest = coalesce($4, digest), signature = coalesce($5, signature), signer = coalesce($6, signer),
       wallet_signature = coalesce($7, wallet_signature), tree = coalesce($8, tree)
     where intent_id = $1`,
    [
      attempt.intentId,
      attempt.state ?? null,
      attempt.commitTimestamp?.toString() ?? null,
      bytesOrNull(attestation?.digest ?? ""),
      bytesOrNull(attestation?.signature ?? ""),
      bytesOrNull(attestation?.signer ?? ""),
      bytesOrNull(attestation?.walletSignature ?? ""),
      bytesOrNull(packTree(attestation?.tree)),
    ],
  );
}

/** When it is looked at next follows from what it is, and is written in the transaction that made it so. */
function nextCheckTime({ order, entries }: CheckoutRecord): Date | null {
  const atMs = nextCheckMs(order, entries, Date.now());
  return atMs === undefined ? null : new Date(atMs);
}

function orNull(text: string): string | null {
  return text === "" ? null : text;
}

/** The bytes of `0x` hex; null for "". */
function bytesOrNull(text: string): Buffer | null {
  return text === "" ? null : Buffer.from(text.slice(2), "hex");
}
