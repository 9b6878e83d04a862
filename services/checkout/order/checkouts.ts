import { zeroWallet } from "#common/address.ts";
import { type Caller, requireOwnWallet, requireUnbound } from "#common/caller.ts";
import type { CallLimit } from "#common/deadline.ts";
import { DomainError, invalidField } from "#common/domain-error.ts";
import { intentExpired } from "#common/intent/rules.ts";
import { formatAmount } from "#common/ledger/assets.ts";
import type { RateLimit } from "#common/rate-limit.ts";
import { type StreamEnds, StreamLife } from "#common/stream-life.ts";
import type { CheckoutFilter, CheckoutStore, Payment, Payments, Peers } from "../ports.ts";
import type { Settler } from "../settle/ports.ts";
import { findOrder, isVisibleTo, type OrderName } from "./find-order.ts";
import { purchaseIntent } from "./intents.ts";
import { findProduct, priceOf, usd } from "./products.ts";
import {
  type CheckoutRecord,
  currentAttempt,
  type Item,
  type Order,
  type PaymentMethod,
  purchaseOf,
} from "./record.ts";
import type { CheckoutWatch } from "./watch.ts";

export interface CreateRequest {
  readonly intentId: string;
  readonly wallet: string;
  readonly merchantId: string;
  readonly orderId: string;
  readonly items: readonly Item[];
  readonly expectedAmount: bigint | undefined;
  readonly paymentMethod: PaymentMethod | "POSCR";
  /** 65 bytes as `0x` hex, or "". */
  readonly walletSignature: string;
  readonly burnPoscr: boolean;
}

export interface Created {
  readonly record: CheckoutRecord;
  /** CARD, while it may be paid: the payment with its secret. */
  readonly payment: Payment | undefined;
}

export type CheckoutKey = { readonly intentId: string } | OrderName;

/** What is bought, and what became of it. */
export interface Checkouts {
  /**
   * Stores a purchase and brings it as far as it can come. The same request again finds the same checkout. Throws
   * INVALID_FIELD, SCOPE_MISSING, PAYMENT_METHOD_UNAVAILABLE, AMOUNT_MISMATCH, INTENT_ID_REUSED, ORDER_ID_REUSED,
   * INTENT_EXPIRED, INTENT_FAILED, LIMIT_EXCEEDED, RATE_LIMITED, and what the Attestor, Clearing and Stripe refuse it with.
   */
  create(request: CreateRequest, caller: Caller, limit: CallLimit): Promise<Created>;
  /** Throws CHECKOUT_NOT_FOUND, INVALID_FIELD. */
  get(key: CheckoutKey, caller: Caller): Promise<CheckoutRecord>;
  /**
   * Ends a checkout that nobody has paid; cancelled before, it is found so. Throws CHECKOUT_NOT_FOUND, INVALID_FIELD,
   * NOT_CANCELLABLE, and what Stripe refuses it with.
   */
  cancel(key: CheckoutKey, caller: Caller, limit: CallLimit): Promise<CheckoutRecord>;
  /** Newest first, after the intent id `after`; one more than `limit` is never given. */
  list(
    filter: CheckoutFilter,
    caller: Caller,
    after: string | undefined,
    limit: number,
  ): Promise<CheckoutRecord[]>;
  /** As it is, then after every change, until it has to end. Throws CHECKOUT_NOT_FOUND, LIMIT_EXCEEDED, DRAINING. */
  watch(key: CheckoutKey, caller: Caller, ends: StreamEnds): AsyncIterable<CheckoutRecord>;
}

export interface CheckoutOptions {
  readonly store: CheckoutStore;
  readonly settler: Settler;
  readonly peers: Peers;
  readonly payments: Payments | undefined;
  readonly changes: CheckoutWatch;
  readonly lifetimeMs: number;
  /** The most checkouts of a wallet that are open, not paid, cancelled or failed yet, before whoever is bound makes another. */
  readonly openPerWallet: number;
  /** How many new checkouts a wallet makes in a minute. What merchants make for it is not counted. */
  readonly rate: Pick<RateLimit, "take" | "giveBack">;
  /** Epoch milliseconds. */
  readonly nowMs: () => number;
}

/** A notification may be lost with its connection; a look every so often finds what it was about. */
const lookMs = 15_000;

export function createCheckouts(options: CheckoutOptions): Checkouts {
  const { store } = options;
  const get = async (key: CheckoutKey, caller: Caller) => {
    if (!("intentId" in key)) return findOrder(store, key, caller);
    const record = await store.read(key.intentId);
    if (record === undefined || !isVisibleTo(caller, record)) {
      throw new DomainError("CHECKOUT_NOT_FOUND", "there is no such checkout", {
        metadata: { ...key },
      });
    }
    return record;
  };
  return {
    create: (request, caller, limit) => createCheckout(options, request, caller, limit),
    get,
    async cancel(key, caller, limit) {
      const found = await get(key, caller);
      const record = await options.settler.cancel(found, limit);
      const { intentId, state } = record.order;
      if (state === "CANCELLED") return record;
      throw new DomainError("NOT_CANCELLABLE", `the checkout is ${state}: it was faster`, {
        metadata: { intentId, state },
      });
    },
    async list(filter, caller, after, limit) {
      const narrowed = narrow(filter, caller);
      return narrowed === undefined ? [] : store.list(narrowed, after, limit);
    },
    async *watch(key, caller, ends) {
      const { intentId } = (await get(key, caller)).order;
      const life = new StreamLife({ ends, beatMs: lookMs });
      try {
        life.own(options.changes.listen(intentId, life.wake));
        let revision = -1n;
        // Read again: what changed before we listened was told to nobody.
        for (let isLive = true; isLive; isLive = await life.wait()) {
          const record = await get({ intentId }, caller);
          if (record.order.revision <= revision) continue;
          revision = record.order.revision;
          yield record;
        }
      } finally {
        life.close();
      }
      if (life.ending === "draining") {
        throw new DomainError("DRAINING", "the process is shutting down");
      }
    },
  };
}

/** A filter within what a caller may see; undefined if nothing is in both. */
function narrow(filter: CheckoutFilter, { wallet, merchant }: Caller): CheckoutFilter | undefined {
  if (merchant !== undefined) {
    const isOthers = filter.merchantId !== "" && filter.merchantId !== merchant;
    return isOthers ? undefined : { ...filter, merchantId: merchant };
  }
  if (wallet === undefined) return filter;
  const isOthers = filter.wallet !== "" && filter.wallet !== wallet;
  return isOthers ? undefined : { ...filter, wallet };
}

async function createCheckout(
  options: CheckoutOptions,
  request: CreateRequest,
  caller: Caller,
  limit: CallLimit,
): Promise<Created> {
  const order = orderOf(options, request, caller);
  const transitions =
    order.paymentMethod === "BALANCE"
      ? ([
          { to: "CREATED", cause: "created" },
          { to: "AWAITING_SIGNATURE", cause: "the wallet is to sign" },
        ] as const)
      : ([{ to: "CREATED", cause: "created" }] as const);
  const stored = await insertOrder(options, order, transitions, caller);
  if (!stored.inserted) checkSame(stored.record.order, order);
  const record =
    request.walletSignature === ""
      ? stored.record
      : await sign(options, stored.record, request.walletSignature, limit);
  const settled = await options.settler.settlePayment(record, limit);
  checkAlive(settled.record);
  if (settled.record.order.state !== "AWAITING_PAYMENT") {
    return { record: settled.record, payment: undefined };
  }
  return settled;
}

/** Stores an order that is new, unless its wallet had too many of late; what is stored already is none of these. */
async function insertOrder(
  { store, rate, openPerWallet }: CheckoutOptions,
  order: Order,
  transitions: Parameters<CheckoutStore["insert"]>[2],
  caller: Caller,
): ReturnType<CheckoutStore["insert"]> {
  // Whose credential is bound to nobody is the house's own, and is not bounded by what it does for one wallet.
  const isHouse = caller.wallet === undefined && caller.merchant === undefined;
  const openMax = isHouse ? undefined : openPerWallet;
  const insert = () => store.insert(order, purchaseIntent(order), transitions, openMax);
  if (order.merchantsOwn) return insert();
  try {
    rate.take(order.wallet);
  } catch (refusal) {
    const record = await store.read(order.intentId);
    if (record === undefined) throw refusal;
    return { record, inserted: false };
  }
  const stored = await insert();
  if (!stored.inserted) rate.giveBack(order.wallet);
  return stored;
}

/** The order that a request asks for. Throws what is wrong with it before anything is stored. */
function orderOf(
  { lifetimeMs, nowMs, payments }: CheckoutOptions,
  request: CreateRequest,
  caller: Caller,
): Order {
  const { wallet, walletSignature, expectedAmount } = request;
  const paymentMethod = checkPaymentMethod(request, payments !== undefined);
  if (wallet === zeroWallet) throw invalidField("wallet", "wallet.zero", "is nobody's");
  checkBuyer(caller, request);
  if (paymentMethod === "CARD" && walletSignature !== "") {
    throw invalidField("wallet_signature", "wallet_signature.unexpected", "a card needs none");
  }
  const amount = amountOf(request.items);
  if (expectedAmount !== undefined && expectedAmount !== amount) {
    throw new DomainError(
      "AMOUNT_MISMATCH",
      `the items cost ${formatAmount(amount, usd)}, not ${formatAmount(expectedAmount, usd)}`,
      { metadata: { expectedAmount: expectedAmount.toString(), amount: amount.toString() } },
    );
  }
  const createTimeMs = nowMs();
  return {
    intentId: request.intentId,
    merchantId: request.merchantId,
    orderId: request.orderId,
    wallet,
    // Whoever is bound to no wallet is the merchant's server, or acts for it.
    merchantsOwn: caller.wallet === undefined,
    paymentMethod,
    items: request.items,
    amount,
    ledger: usd,
    createTimeMs,
    expireTimeMs: createTimeMs + lifetimeMs,
    state: paymentMethod === "BALANCE" ? "AWAITING_SIGNATURE" : "CREATED",
    paymentIntentId: "",
    walletSignature: "",
    failureReason: "",
    declineCode: "",
    returnOwed: false,
    returnedRefundId: "",
    revision: 1n,
  };
}

/** A shopper buys for himself, wherever he likes; a merchant sells at its own. Throws SCOPE_MISSING. */
function checkBuyer(caller: Caller, { wallet, merchantId }: CreateRequest): void {
  if (caller.merchant === undefined) requireOwnWallet(caller, wallet);
  else if (caller.merchant !== merchantId) requireUnbound(caller, "it sells for no other merchant");
}

function checkPaymentMethod(
  { paymentMethod, burnPoscr }: CreateRequest,
  hasCards: boolean,
): PaymentMethod {
  const unavailable = (method: string, why: string) =>
    new DomainError("PAYMENT_METHOD_UNAVAILABLE", why, { metadata: { paymentMethod: method } });
  if (paymentMethod === "POSCR" || burnPoscr) {
    throw unavailable("POSCR", "POSCR is not taken yet: there is no chain service");
  }
  if (paymentMethod === "CARD" && !hasCards) {
    throw unavailable("CARD", "no Stripe key is configured here");
  }
  return paymentMethod;
}

/** What the items cost together, in cents. Throws INVALID_FIELD for an unknown SKU and for one that comes twice. */
function amountOf(items: readonly Item[]): bigint {
  let amount = 0n;
  const seen = new Set<string>();
  for (const [index, { sku, quantity }] of items.entries()) {
    const product = findProduct(sku);
    const field = `items[${index}].sku`;
    if (product === undefined) throw invalidField(field, "product.unknown", `there is no ${sku}`);
    if (seen.has(sku)) throw invalidField(field, "items.unique", `${sku} comes twice`);
    seen.add(sku);
    amount += priceOf(product) * BigInt(quantity);
  }
  return amount;
}

/**
 * Throws INTENT_ID_REUSED or ORDER_ID_REUSED unless what is stored was asked for by the same request, whoever asks: the
 * buyer signs what the merchant has made.
 */
function checkSame(stored: Order, asked: Order): void {
  if (stored.intentId !== asked.intentId) {
    const { merchantId, orderId } = asked;
    throw new DomainError("ORDER_ID_REUSED", `order ${orderId} was made by another request`, {
      metadata: { merchantId, orderId },
    });
  }
  const content = ({ merchantId, orderId, wallet, paymentMethod, items }: Order) =>
    JSON.stringify([
      merchantId,
      orderId,
      wallet,
      paymentMethod,
      items.map(({ sku, quantity }) => [sku, quantity]),
    ]);
  if (content(stored) === content(asked)) return;
  throw new DomainError("INTENT_ID_REUSED", "the intent id stands for another checkout", {
    metadata: { intentId: asked.intentId },
  });
}

/** BALANCE: the wallet's word. The Attestor checks it before it is taken; a wrong one changes nothing. */
async function sign(
  { store, peers, nowMs }: CheckoutOptions,
  record: CheckoutRecord,
  walletSignature: string,
  limit: CallLimit,
): Promise<CheckoutRecord> {
  const { order } = record;
  if (order.state !== "AWAITING_SIGNATURE") return record;
  const { intent } = currentAttempt(purchaseOf(record));
  if (nowMs() >= order.expireTimeMs) throw intentExpired(intent);
  const [attestation] = await Promise.all([
    peers.attest(intent, walletSignature, limit),
    peers.openWallet(order.wallet, order.ledger, limit),
  ]);
  return store.change(order.intentId, (now) =>
    now.order.state === "AWAITING_SIGNATURE"
      ? {
          state: { to: "PAID", cause: "signed by the wallet" },
          order: { walletSignature: attestation.walletSignature },
          attempt: { intentId: intent.intentId, attestation },
        }
      : undefined,
  );
}

/** A request for what is over already is told so. */
function checkAlive(record: CheckoutRecord): void {
  const { order } = record;
  if (order.state === "CANCELLED") {
    if (order.failureReason === "CHECKOUT_CANCELLED") {
      throw new DomainError("CHECKOUT_CANCELLED", "the checkout was cancelled", {
        metadata: { intentId: order.intentId },
      });
    }
    throw intentExpired(currentAttempt(purchaseOf(record)).intent);
  }
  if (order.state !== "FAILED") return;
  const firstReason = order.failureReason;
  throw new DomainError("INTENT_FAILED", `the checkout failed with ${firstReason}`, {
    metadata: { intentId: order.intentId, firstReason },
  });
}
