import type { CallLimit } from "#common/deadline.ts";
import { DomainError } from "#common/domain-error.ts";
import type { Order } from "../order/record.ts";
import type { Payment, Payments } from "../ports.ts";

/** Stripe, for a card checkout of a time when there was a key. Throws PAYMENTS_UNAVAILABLE if there is none now. */
export function paymentsOf(ports: { readonly payments: Payments | undefined }): Payments {
  if (ports.payments !== undefined) return ports.payments;
  throw new DomainError("PAYMENTS_UNAVAILABLE", "no Stripe key is configured here");
}

/**
 * An order's payment as it is now. Throws PAYMENTS_UNAVAILABLE, and an Error if Stripe knows no such payment: under the key
 * of another account nothing is known, and what a shopper has paid must not be forgotten for that.
 */
export async function readPayment(
  payments: Pick<Payments, "read">,
  { paymentIntentId, intentId }: Pick<Order, "paymentIntentId" | "intentId">,
  limit: CallLimit,
): Promise<Payment> {
  const payment = await payments.read(paymentIntentId, limit);
  if (payment !== undefined) return payment;
  throw new Error(`Stripe does not know the PaymentIntent of checkout ${intentId}`);
}
