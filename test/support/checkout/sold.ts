import { unhex } from "#common/postgres/evidence.ts";
import type { Pool } from "#common/postgres/pool.ts";
import type { ClearRequest } from "../../../services/clearing/core/clearing.ts";

/** How Checkout's rows tell of an order. */
export interface Sold {
  readonly orderId: string;
  /** Default CLEARED. */
  readonly orderState?: string;
  /** Default CLEARED; undefined: there is no intent at all. */
  readonly attemptState?: "CLEARED" | "DEAD" | "PENDING";
  /** Nanoseconds. */
  readonly commitTimestamp?: bigint;
}

/** Writes down, as Checkout would, that an intent is the purchase of an order. The tables must be there. */
export async function insertSold(
  pool: Pool,
  { intent, attestation }: ClearRequest,
  { orderId, orderState = "CLEARED", attemptState = "CLEARED", commitTimestamp }: Sold,
): Promise<void> {
  const { intentId } = intent;
  const entryState = orderState === "CLEARED" ? "CLEARED" : "FAILED";
  await pool.query(
    `insert into checkout_order (intent_id, merchant_id, order_id, wallet, payment_method, items, amount, ledger,
       create_time, expire_time, state)
     values ($1, 'market-1', $2, decode(repeat('11', 20), 'hex'), 'BALANCE', '[]', 1, 1, now(), now(), $3)`,
    [intentId, orderId, orderState],
  );
  await pool.query(
    `insert into checkout_entry (entry_id, checkout_id, number, kind, state, portions, items)
     values ($1, $1, 1, 'PURCHASE', $2, '[]', '[]')`,
    [intentId, entryState],
  );
  await pool.query(
    `insert into checkout_attempt (intent_id, entry_id, number, intent, digest, state, commit_timestamp)
     values ($1, $1, 1, $2, $3, $4, $5)`,
    [
      intentId,
      JSON.stringify({ postings: intent.postings.map(() => ({})) }),
      unhex(attestation.digest),
      attemptState,
      commitTimestamp?.toString() ?? null,
    ],
  );
}
