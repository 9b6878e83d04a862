import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { ClearingIntent } from "#gen/sovr/attestor/v1/intent_pb.ts";
import { type Checkout, CheckoutState, PaymentMethod } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/sovr/common/v1/error_reason_pb.ts";
import type { OrderItem } from "../goods/products.ts";
import { explainReason, type Problem } from "../mesh/problem.ts";
import { newUuidV7 } from "../wallet/ids.ts";

export type Method = (typeof PaymentMethod)["BALANCE" | "CARD"];

/** What is asked of Checkout. Made once: whatever happens, the same is asked again. */
export interface Order {
  /** UUIDv7. It names the purchase for ever. */
  readonly intentId: string;
  readonly orderId: string;
  /** EIP-55. */
  readonly wallet: string;
  readonly items: readonly OrderItem[];
  /** Cents, as they were shown. */
  readonly amount: bigint;
  readonly method: Method;
}

/** A purchase, from the moment at which it was thought of. It outlives a reload, all but the client secret. */
export interface Purchase {
  readonly order: Order;
  /** BALANCE: what the wallet signs, as Checkout proposed it and we checked it. */
  readonly intent: ClearingIntent | undefined;
  /** Of the intent, computed here. */
  readonly digest: string | undefined;
  readonly walletSignature: string | undefined;
  /** CARD: what pays it. Checkout tells it again to whoever may know it, so it is kept nowhere. */
  readonly clientSecret: string | undefined;
  /** As Checkout told it last; undefined until it answered. */
  readonly checkout: Checkout | undefined;
  /** Why it stands still; undefined while it runs and when nothing is wrong. */
  readonly problem: Problem | undefined;
  /** Epoch milliseconds. */
  readonly updatedMs: number;
}

export type NewOrder = Pick<Order, "wallet" | "items" | "amount" | "method">;

/** A purchase that nobody has heard of yet. */
export function newPurchase(order: NewOrder, nowMs = Date.now()): Purchase {
  const intentId = newUuidV7(nowMs);
  return purchaseOf({ ...order, intentId, orderId: `studio-${intentId.slice(-12)}` });
}

/** A purchase that another browser began, or that this one has forgotten: Checkout knows all that made it. */
export function foundPurchase(checkout: Checkout): Purchase {
  const { intentId, wallet } = checkout;
  const items = checkout.items.map(({ sku, quantity }) => ({ sku, quantity }));
  const method =
    checkout.paymentMethod === PaymentMethod.CARD ? PaymentMethod.CARD : PaymentMethod.BALANCE;
  const orderId = checkout.order?.orderId ?? "";
  const amount = BigInt(checkout.amount);
  return { ...purchaseOf({ intentId, orderId, wallet, items, amount, method }), checkout };
}

function purchaseOf(order: Order): Purchase {
  return {
    order,
    intent: undefined,
    digest: undefined,
    walletSignature: undefined,
    clientSecret: undefined,
    checkout: undefined,
    problem: undefined,
    updatedMs: Date.now(),
  };
}

/** What a purchase waits for. */
export type Standing =
  /** For Checkout's answer. */
  | "asking"
  /** BALANCE: for the shopper's word. */
  | "signature"
  /** CARD: for the shopper's card. */
  | "card"
  /** For the ledger. */
  | "ledger"
  /** For nothing: it cleared, or never will. */
  | "over";

const awaiting: readonly [CheckoutState, ...CheckoutState[]] = [
  CheckoutState.CREATED,
  CheckoutState.AWAITING_SIGNATURE,
  CheckoutState.AWAITING_PAYMENT,
];

export function standingOf(purchase: Purchase): Standing {
  const { checkout, problem, order, walletSignature, intent, clientSecret } = purchase;
  const state = checkout?.state ?? CheckoutState.CREATED;
  if (problem?.remedy === "over" || isEnd(state)) return "over";
  if (state === CheckoutState.PAID) return "ledger";
  if (order.method === PaymentMethod.CARD) return clientSecret === undefined ? "asking" : "card";
  return intent === undefined || walletSignature !== undefined ? "asking" : "signature";
}

/** True for a state that no payment follows any more. */
export function isEnd(state: CheckoutState): boolean {
  return state !== CheckoutState.PAID && !awaiting.includes(state);
}

export function isOver(purchase: Purchase): boolean {
  return standingOf(purchase) === "over";
}

/** Why it stands still or has ended unpaid, in words; undefined while nothing is wrong. */
export function problemOf({ problem, checkout }: Purchase): Problem | undefined {
  if (problem !== undefined || checkout === undefined) return problem;
  if (checkout.state === CheckoutState.CANCELLED) {
    const isAsked = checkout.failureReason === ErrorReason.CHECKOUT_CANCELLED;
    return explainReason(isAsked ? "CHECKOUT_CANCELLED" : "CHECKOUT_UNPAID");
  }
  if (checkout.state !== CheckoutState.FAILED) return undefined;
  const name = ErrorReasonSchema.value[checkout.failureReason]?.name ?? "";
  return { ...explainReason(name.replace("ERROR_REASON_", "")), remedy: "over" };
}

/** True if the goods were bought, whatever was given back since. */
export function isCleared({ checkout }: Purchase): boolean {
  return checkout !== undefined && checkout.clearedIntentId !== "";
}

/** True if it may be put away unpaid: nobody has signed it, so nothing moves that the shopper does not do later. */
export function mayDismiss({ checkout, walletSignature }: Purchase): boolean {
  return walletSignature === undefined && awaiting.includes(checkout?.state ?? awaiting[0]);
}

/** True once nobody can pay it any more, although Checkout may not have said so yet. */
export function isTooLate({ checkout, walletSignature }: Purchase, nowMs: number): boolean {
  const expireTime = checkout?.expireTime;
  return (
    walletSignature === undefined && expireTime !== undefined && timestampMs(expireTime) < nowMs
  );
}

/** The purchase with a newer word of Checkout's; itself if that is not newer. */
export function withCheckout(purchase: Purchase, checkout: Checkout): Purchase {
  const { checkout: known } = purchase;
  if (known !== undefined && known.revision >= checkout.revision) return purchase;
  // Once it is paid, or over, what went wrong before on our side has no meaning any more.
  const problem = awaiting.includes(checkout.state) ? purchase.problem : undefined;
  return { ...purchase, checkout, problem };
}
