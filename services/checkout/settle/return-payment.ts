import { DomainError } from "#common/domain-error.ts";
import type { Order } from "../order/order.ts";
import { type CallLimit, type PaymentRefund, type Payments, RefundRefused } from "../ports.ts";

/** Somebody at Stripe itself may be at it too, and be faster this often. */
const returnsMax = 4;

/**
 * Gives back what is left of a payment that bought nothing. Returns the id of our refund of it; "" if there is none.
 * Throws PAYMENTS_UNAVAILABLE.
 */
export async function returnPayment(
  payments: Payments,
  { paymentIntentId, intentId }: Pick<Order, "paymentIntentId" | "intentId">,
  received: bigint,
  limit: CallLimit,
): Promise<string> {
  let refused = 0n;
  for (let attempt = 1; attempt <= returnsMax; attempt += 1) {
    const made = await payments.refunds(paymentIntentId, limit);
    const left = leftToReturn({ intentId }, received, made);
    // Refused and still there: Stripe refuses for good.
    if (left === 0n || left === refused) return ownOf({ intentId }, made).at(-1)?.id ?? "";
    try {
      return (await payments.refund({ paymentIntentId, entryId: intentId, amount: left }, limit))
        .id;
    } catch (error) {
      if (!(error instanceof RefundRefused)) throw error;
      refused = left;
    }
  }
  throw new DomainError("PAYMENTS_UNAVAILABLE", "the payment is being refunded at Stripe");
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
  if (ownOf(order, made).some(hasFailed)) return 0n;
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
