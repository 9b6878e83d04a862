import type Stripe from "stripe";
import type { CallLimit } from "#common/deadline.ts";
import { type PaymentRefund, type Payments, RefundRefused } from "../../ports.ts";
import { type Call, StripeRefusal } from "./call.ts";
import { intentKey, oneOf, pageSize, startingAfter, toBigint, toNumber, uuidOf } from "./fields.ts";

/** Refunds of PaymentIntents, as the port promises them. */
export function openRefunds(stripe: Stripe, call: Call): Pick<Payments, "refund" | "refunds"> {
  const list = async (paymentIntentId: string, limit: CallLimit): Promise<PaymentRefund[]> => {
    const refunds: PaymentRefund[] = [];
    let after: string | undefined;
    for (let page = 0; page < refundPagesMax; page += 1) {
      const { data, has_more } = await call("refunds.list", limit, (options) =>
        stripe.refunds.list(
          { payment_intent: paymentIntentId, limit: pageSize, ...startingAfter(after) },
          options,
        ),
      );
      refunds.push(...data.map(refundOf));
      after = data.at(-1)?.id;
      if (!has_more || after === undefined) return refunds.reverse();
    }
    throw new Error(`${paymentIntentId} has more than ${refundPagesMax * pageSize} refunds`);
  };
  return {
    refunds: list,
    async refund({ paymentIntentId, entryId, amount }, limit) {
      // Stripe forgets idempotency keys after a day; the refund itself stays. The key covers two at once.
      const known = await list(paymentIntentId, limit);
      const same = known.find((refund) => refund.entryId === entryId && refund.amount === amount);
      if (same !== undefined) return same;
      try {
        const refund = await call("refunds.create", limit, (options) =>
          stripe.refunds.create(
            {
              payment_intent: paymentIntentId,
              amount: toNumber(amount),
              metadata: { [intentKey]: entryId },
            },
            // With its own prefix: a key serves one endpoint, and a payment's is the bare intent id. With the amount: what is
            // left to give back of a payment that bought nothing may shrink, and a key has one answer for ever.
            { ...options, idempotencyKey: `refund-${entryId}-${amount}` },
          ),
        );
        return refundOf(refund);
      } catch (error) {
        if (!(error instanceof StripeRefusal)) throw error;
        if (error.type !== "StripeInvalidRequestError" || !notRefundable.has(error.code))
          throw error;
        throw new RefundRefused(paymentIntentId, error);
      }
    },
  };
}

/** Codes of refusals that no later attempt changes. A refusal of the amount, or of an unpaid payment, has none. */
const notRefundable: ReadonlySet<string | undefined> = new Set([
  undefined,
  "amount_too_large",
  "charge_already_refunded",
  "charge_disputed",
  "charge_not_refundable",
  "payment_intent_unexpected_state",
  "refund_disputed_payment",
]);

/** Nobody refunds one payment a thousand times. */
const refundPagesMax = 10;

const refundStatuses = [
  "pending",
  "requires_action",
  "succeeded",
  "failed",
  "canceled",
] as const satisfies readonly PaymentRefund["status"][];

function refundOf(refund: Stripe.Refund): PaymentRefund {
  return {
    id: refund.id,
    status: oneOf(refundStatuses, refund.status),
    amount: toBigint(refund.amount),
    currency: refund.currency,
    entryId: uuidOf(refund.metadata),
  };
}
