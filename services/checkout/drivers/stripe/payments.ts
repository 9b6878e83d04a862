import type Stripe from "stripe";
import type { CallLimit } from "#common/deadline.ts";
import { usd } from "../../order/products.ts";
import type { Payment, Payments } from "../../ports.ts";
import { type Call, hasCode, printable } from "./call.ts";
import { intentKey, oneOf, toBigint, toNumber, uuidOf } from "./fields.ts";

/** PaymentIntents, as the port promises them. */
export function openPayments(
  stripe: Stripe,
  call: Call,
): Pick<Payments, "create" | "read" | "cancel"> {
  const read = async (paymentIntentId: string, limit: CallLimit): Promise<Payment | undefined> => {
    try {
      const found = await call("payment_intents.retrieve", limit, (options) =>
        stripe.paymentIntents.retrieve(paymentIntentId, {}, options),
      );
      return paymentOf(found);
    } catch (error) {
      if (hasCode(error, "resource_missing")) return undefined;
      throw error;
    }
  };
  return {
    read,
    async create(request, limit) {
      const created = await call("payment_intents.create", limit, (options) =>
        stripe.paymentIntents.create(paramsOf(request), {
          ...options,
          idempotencyKey: request.intentId,
        }),
      );
      // A replayed answer tells how it was when it was made.
      if (created.lastResponse.headers["idempotent-replayed"] !== "true") return paymentOf(created);
      return (await read(created.id, limit)) ?? paymentOf(created);
    },
    async cancel(paymentIntentId, limit) {
      try {
        const cancelled = await call("payment_intents.cancel", limit, (options) =>
          stripe.paymentIntents.cancel(paymentIntentId, {}, options),
        );
        return paymentOf(cancelled);
      } catch (error) {
        // Paid or cancelled before: how it is now says it all.
        if (!hasCode(error, "payment_intent_unexpected_state")) throw error;
      }
      const payment = await read(paymentIntentId, limit);
      if (payment === undefined) throw new Error(`Stripe has lost ${paymentIntentId}`);
      return payment;
    },
  };
}

function paramsOf(request: Parameters<Payments["create"]>[0]): Stripe.PaymentIntentCreateParams {
  return {
    amount: toNumber(request.amount),
    currency: currencyOf(request.ledger),
    // Cards alone, whatever the account has enabled: others are paid days later, or lead away from the shop.
    allowed_payment_method_types: ["card"],
    capture_method: "automatic",
    metadata: {
      [intentKey]: request.intentId,
      digest: request.digest,
      merchant_id: request.merchantId,
      order_id: request.orderId,
      wallet: request.wallet,
    },
  };
}

function currencyOf(ledger: number): string {
  if (ledger === usd) return "usd";
  throw new RangeError(`no card pays in ledger ${ledger}`);
}

const statuses = [
  "requires_payment_method",
  "requires_confirmation",
  "requires_action",
  "processing",
  "requires_capture",
  "canceled",
  "succeeded",
] as const satisfies readonly Payment["status"][];

function paymentOf(intent: Stripe.PaymentIntent): Payment {
  return {
    id: intent.id,
    status: oneOf(statuses, intent.status),
    amount: toBigint(intent.amount),
    amountReceived: toBigint(intent.amount_received),
    currency: intent.currency,
    intentId: uuidOf(intent.metadata),
    clientSecret: intent.client_secret ?? "",
    failure: failureOf(intent),
  };
}

/** Why the shopper has to do something again; undefined while there is nothing to do, or nothing more. */
function failureOf(intent: Stripe.PaymentIntent): Payment["failure"] {
  if (intent.status === "requires_action") {
    return { reason: "PAYMENT_ACTION_REQUIRED", declineCode: "" };
  }
  const error = intent.last_payment_error;
  if (intent.status !== "requires_payment_method" || error === null) return undefined;
  const declineCode = printable(error.decline_code ?? error.code ?? "").slice(0, 64);
  const authenticate =
    error.code === "authentication_required" || error.decline_code === "authentication_required";
  return {
    reason: authenticate ? "PAYMENT_ACTION_REQUIRED" : "PAYMENT_DECLINED",
    declineCode,
  };
}
