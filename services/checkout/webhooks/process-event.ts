import type { CallLimit } from "#common/deadline.ts";
import type { CheckoutStore, Payments } from "../ports.ts";
import type { Refunds } from "../refunds/give-back.ts";
import type { Settler } from "../settle/ports.ts";
import type { StripeEvent } from "./ports.ts";

/** The types that concern a checkout, and what each concerns. Every other type is answered and forgotten. */
const concerns: Readonly<Record<string, "payment" | "refunds">> = {
  "payment_intent.succeeded": "payment",
  "payment_intent.processing": "payment",
  "payment_intent.requires_action": "payment",
  "payment_intent.payment_failed": "payment",
  "payment_intent.canceled": "payment",
  "charge.refunded": "refunds",
  "charge.refund.updated": "refunds",
  "refund.created": "refunds",
  "refund.updated": "refunds",
  "refund.failed": "refunds",
};

/** The types of events that are stored and processed. */
export const webhookTypes: readonly string[] = Object.keys(concerns);

/** True if events of this type are stored and processed. */
export function isHandled(type: string): boolean {
  return Object.hasOwn(concerns, type);
}

export interface ProcessPorts {
  readonly store: Pick<CheckoutStore, "findByPayment" | "read">;
  readonly payments: Pick<Payments, "read">;
  readonly settler: Pick<Settler, "settle">;
  readonly refunds: Pick<Refunds, "syncFromStripe">;
}

/** What an event came to. IGNORED: it concerns nothing of ours. */
export type Processed = "DONE" | "IGNORED";

/**
 * Does what an event asks for: brings the checkout that it concerns on, by what is stored and what Stripe says now. What
 * the event itself said plays no part, so it may come twice, late, early, or after a later one. Throws what stopped it.
 */
export async function processEvent(
  ports: ProcessPorts,
  event: Pick<StripeEvent, "type" | "paymentIntentId">,
  limit: CallLimit,
): Promise<Processed> {
  const checkoutId = await findCheckout(ports, event.paymentIntentId, limit);
  if (checkoutId === undefined) return "IGNORED";
  if (concerns[event.type] === "refunds") await ports.refunds.syncFromStripe(checkoutId, limit);
  await ports.settler.settle(checkoutId, limit);
  return "DONE";
}

/** The checkout that a PaymentIntent pays, or undefined: one of another shop, or another than the order's own. */
async function findCheckout(
  { store, payments }: ProcessPorts,
  paymentIntentId: string,
  limit: CallLimit,
): Promise<string | undefined> {
  if (paymentIntentId === "") return undefined;
  const known = await store.findByPayment(paymentIntentId);
  if (known !== undefined) return known;
  // An event may be faster than the API's own answer: then only Stripe knows which order it made the payment for.
  const payment = await payments.read(paymentIntentId, limit);
  if (payment === undefined || payment.intentId === "") return undefined;
  const record = await store.read(payment.intentId);
  const recorded = record?.order.paymentIntentId;
  return recorded === "" || recorded === paymentIntentId ? payment.intentId : undefined;
}
