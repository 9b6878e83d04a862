import { create, fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { postingCodes } from "#common/intent/posting-codes.ts";
import { findChartAccount } from "#common/ledger/chart.ts";
import type { GetDomainResponse } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import {
  type ClearingIntent,
  ClearingIntentSchema,
  Phase,
} from "#gen/sovr/attestor/v1/intent_pb.ts";
import {
  type Checkout,
  CheckoutSchema,
  CheckoutState,
  PaymentMethod,
} from "#gen/sovr/checkout/v1/checkout_pb.ts";
import {
  type CreateCheckoutRequest,
  CreateCheckoutRequestSchema,
  type CreateCheckoutResponse,
} from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { ErrorReasonSchema } from "#gen/sovr/common/v1/error_reason_pb.ts";
import { explain, explainReason, type Problem, StudioError } from "../mesh/problem.ts";
import { merchantId, usd } from "../shop/products.ts";
import { newUuidV7, walletAccountId } from "../wallet/ids.ts";
import { digestIntent } from "../wallet/intent-digest.ts";

export interface OrderItem {
  readonly sku: string;
  /** 1 to 10,000. */
  readonly quantity: number;
}

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

/** What a purchase is carried out with. */
export interface PurchasePorts {
  readonly createCheckout: (request: CreateCheckoutRequest) => Promise<CreateCheckoutResponse>;
  readonly getDomain: () => Promise<GetDomainResponse>;
  /** Keeps the purchase, and shows it. Called before anything that it says is sent. */
  readonly keep: (purchase: Purchase) => void;
  readonly wait: (ms: number) => Promise<void>;
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
  if (checkout.state === CheckoutState.CANCELLED) return explainReason("CHECKOUT_CANCELLED");
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

const attemptsMax = 4;
const pauseMs = 500;

/**
 * Asks Checkout for a purchase, with the wallet's signature if there is one, and gives how it stands then. When an
 * answer is lost the same is asked again, a few times by itself and then at the user's word. Never throws.
 */
export async function carryOut(start: Purchase, ports: PurchasePorts): Promise<Purchase> {
  const purchase = keepAs({ ...start, problem: undefined }, ports);
  for (let attempts = 1; ; attempts += 1) {
    try {
      const answer = await ports.createCheckout(requestOf(purchase));
      const domain = needsIntent(purchase, answer) ? await ports.getDomain() : undefined;
      const answered = accept(purchase, answer, domain);
      if (standingOf(answered) === "asking") throw new Error("Checkout left the order as it was");
      return keepAs(answered, ports);
    } catch (error) {
      const problem = explain(error);
      if (problem.remedy !== "again" || attempts >= attemptsMax) {
        return keepAs({ ...purchase, problem }, ports);
      }
      await ports.wait(pauseMs * 2 ** (attempts - 1));
    }
  }
}

function requestOf({ order, walletSignature = "" }: Purchase): CreateCheckoutRequest {
  const { amount, method, items, ...rest } = order;
  return create(CreateCheckoutRequestSchema, {
    ...rest,
    merchantId,
    items: items.map(({ sku, quantity }) => ({ sku, quantity })),
    expectedAmount: String(amount),
    paymentMethod: method,
    walletSignature,
  });
}

function needsIntent({ order, intent }: Purchase, answer: CreateCheckoutResponse): boolean {
  return (
    order.method === PaymentMethod.BALANCE &&
    intent === undefined &&
    answer.checkout?.state === CheckoutState.AWAITING_SIGNATURE
  );
}

/** The purchase as Checkout answered it. Throws StudioError where the answer is not about what was asked. */
function accept(
  purchase: Purchase,
  { checkout, clientSecret, intent }: CreateCheckoutResponse,
  domain: GetDomainResponse | undefined,
): Purchase {
  if (checkout === undefined) throw new Error("CreateCheckout answered no checkout");
  const seen = withCheckout(purchase, checkout);
  checkDigest(seen);
  if (domain === undefined) {
    return { ...seen, clientSecret: clientSecret === "" ? undefined : clientSecret };
  }
  if (intent === undefined) throw new Error("CreateCheckout answered no intent");
  checkIntent(intent, purchase.order);
  return { ...seen, intent, digest: digestOf(domain, intent) };
}

function digestOf(domain: GetDomainResponse, intent: ClearingIntent): string {
  try {
    return digestIntent(domain, intent);
  } catch (error) {
    throw new StudioError("UNKNOWN_FORM", error instanceof Error ? error.message : String(error));
  }
}

/** Throws StudioError INTENT_DIFFERS unless the intent pays from this wallet for goods what the shopper was shown. */
function checkIntent(intent: ClearingIntent, order: Order): void {
  const account = String(walletAccountId(order.wallet, usd));
  const buysGoods = intent.postings.every(
    (posting) =>
      posting.debitAccountId === account &&
      posting.ledger === usd &&
      posting.code === postingCodes.PURCHASE &&
      findChartAccount(BigInt(posting.creditAccountId))?.class === "OBLIGATION",
  );
  const total = intent.postings.reduce((sum, { amount }) => sum + BigInt(amount), 0n);
  if (
    buysGoods &&
    total === order.amount &&
    intent.intentId === order.intentId &&
    intent.wallet === order.wallet &&
    intent.merchantId === merchantId &&
    intent.reference === order.orderId &&
    intent.phase === Phase.IMMEDIATE
  ) {
    return;
  }
  throw new StudioError("INTENT_DIFFERS", "the intent is not that of the order");
}

/** Throws StudioError DIGEST_DIFFERS if what cleared is not what was signed. */
function checkDigest({ order, digest, checkout }: Purchase): void {
  const told = checkout?.purchases.find(({ intentId }) => intentId === order.intentId)?.digest;
  if (digest === undefined || told === undefined || told === "" || told === digest) return;
  throw new StudioError("DIGEST_DIFFERS", `Checkout answered ${told}`);
}

/** The purchase with a newer word of Checkout's; itself if that is not newer. */
export function withCheckout(purchase: Purchase, checkout: Checkout): Purchase {
  const { checkout: known } = purchase;
  if (known !== undefined && known.revision >= checkout.revision) return purchase;
  // Once it is paid, or over, what went wrong before on our side has no meaning any more.
  const problem = awaiting.includes(checkout.state) ? purchase.problem : undefined;
  return { ...purchase, checkout, problem };
}

function keepAs(purchase: Purchase, ports: PurchasePorts): Purchase {
  const updated = { ...purchase, updatedMs: Date.now() };
  ports.keep(updated);
  return updated;
}

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
