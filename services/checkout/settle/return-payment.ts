import type { CallLimit } from "#common/deadline.ts";
import { DomainError } from "#common/domain-error.ts";
import { formatAmount } from "#common/ledger/assets.ts";
import type { CheckoutRecord, Order } from "../order/record.ts";
import { type Change, type PaymentRefund, type Payments, RefundRefused } from "../ports.ts";
import type { SettlePorts } from "./ports.ts";

/** Somebody at Stripe itself may be at it too, and be faster this often. */
const returnsMax = 4;

/** What became of giving a payment back. */
export interface Returned {
  /** Our refund of it; "" if there is none. */
  readonly refundId: string;
  /** Minor units that Stripe refuses to give back, for good. */
  readonly kept: bigint;
}

/** Gives back what is left of a payment that bought nothing. `received`: what it charged. Throws PAYMENTS_UNAVAILABLE. */
export async function returnPayment(
  payments: Payments,
  { paymentIntentId, intentId }: Pick<Order, "paymentIntentId" | "intentId">,
  received: bigint,
  limit: CallLimit,
): Promise<Returned> {
  let refused = 0n;
  for (let attempt = 1; attempt <= returnsMax; attempt += 1) {
    const made = await payments.refunds(paymentIntentId, limit);
    const left = leftToReturn({ intentId }, received, made);
    // Refused and still there: Stripe refuses for good.
    if (left === 0n || left === refused) return returnedBy({ intentId }, received, made);
    try {
      const refund = { paymentIntentId, entryId: intentId, amount: left };
      return { refundId: (await payments.refund(refund, limit)).id, kept: 0n };
    } catch (error) {
      if (!(error instanceof RefundRefused)) throw error;
      refused = left;
    }
  }
  throw new DomainError("PAYMENTS_UNAVAILABLE", "the payment is being refunded at Stripe");
}

/**
 * Writes how giving a payment back has ended. What Stripe keeps is a step of its own in the checkout's record and raises
 * an alarm, once for the same amount. Throws RECORDS_UNAVAILABLE.
 */
export async function endReturn(
  { store, alarm }: Pick<SettlePorts, "store" | "alarm">,
  { order }: CheckoutRecord,
  { refundId, kept }: Returned,
): Promise<CheckoutRecord> {
  const { intentId } = order;
  const cause = `Stripe refuses to give back ${formatAmount(kept, order.ledger)}`;
  const changed = await store.change(intentId, (now): Change | undefined => {
    const ended = { order: { returnOwed: false, returnedRefundId: refundId } };
    if (kept === 0n) return now.order.returnOwed ? ended : undefined;
    const isTold = now.transitions.at(-1)?.cause === cause;
    return isTold && !now.order.returnOwed
      ? undefined
      : { ...ended, state: { to: "FAILED", cause } };
  });
  if (kept > 0n && changed.order.revision !== order.revision) {
    alarm({ end: "NOT_RETURNED", intentId, cause: new Error(cause) });
  }
  return changed;
}

/** How giving a payment back stands, by all of its refunds, when nothing more is to be given back. Pure. */
export function returnedBy(
  order: Pick<Order, "intentId">,
  received: bigint,
  made: readonly PaymentRefund[],
): Returned {
  return { refundId: ownOf(order, made).at(-1)?.id ?? "", kept: outstanding(received, made) };
}

/**
 * What is to be given back of a payment that bought nothing, by all of its refunds: refunds from the dashboard count as
 * long as they have not failed. Nothing, once one of ours has failed: the card takes no money back, and people must
 * find another way. Pure.
 */
export function leftToReturn(
  order: Pick<Order, "intentId">,
  received: bigint,
  made: readonly PaymentRefund[],
): bigint {
  return ownOf(order, made).some(hasFailed) ? 0n : outstanding(received, made);
}

function outstanding(received: bigint, made: readonly PaymentRefund[]): bigint {
  const left = made
    .filter((refund) => !hasFailed(refund))
    .reduce((sum, { amount }) => sum - amount, received);
  return left > 0n ? left : 0n;
}

function ownOf({ intentId }: Pick<Order, "intentId">, made: readonly PaymentRefund[]) {
  return made.filter(({ entryId }) => entryId === intentId);
}

function hasFailed({ status }: PaymentRefund): boolean {
  return status === "failed" || status === "canceled";
}
