import { fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { ClearingIntentSchema } from "#gen/sovr/attestor/v1/intent_pb.ts";
import { CheckoutSchema } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import type { Problem } from "../mesh/problem.ts";
import type { Order, Purchase } from "./purchase.ts";

/** A purchase as JSON, without the client secret. */
export function formatPurchase(purchase: Purchase): JsonValue {
  const { order, digest = null, walletSignature = null, updatedMs, problem } = purchase;
  return {
    order: {
      ...order,
      items: order.items.map(({ sku, quantity }) => ({ sku, quantity })),
      amount: String(order.amount),
    },
    intent: purchase.intent ? toJson(ClearingIntentSchema, purchase.intent) : null,
    digest,
    walletSignature,
    checkout: purchase.checkout ? toJson(CheckoutSchema, purchase.checkout) : null,
    problem: problem ? { ...problem } : null,
    updatedMs,
  };
}

/** Reads what `formatPurchase` wrote. Throws for anything else. */
export function parsePurchase(json: JsonValue): Purchase {
  const stored = json as Record<string, JsonValue>;
  const order = stored["order"] as unknown as Omit<Order, "amount"> & { readonly amount: string };
  const { intent = null, checkout = null } = stored;
  return {
    order: { ...order, amount: BigInt(order.amount) },
    intent: intent === null ? undefined : fromJson(ClearingIntentSchema, intent),
    digest: (stored["digest"] as string | null) ?? undefined,
    walletSignature: (stored["walletSignature"] as string | null) ?? undefined,
    clientSecret: undefined,
    checkout: checkout === null ? undefined : fromJson(CheckoutSchema, checkout),
    problem: (stored["problem"] as unknown as Problem | null) ?? undefined,
    updatedMs: Number(stored["updatedMs"]),
  };
}
