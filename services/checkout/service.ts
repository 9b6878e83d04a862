import type { HandlerContext } from "@connectrpc/connect";
import { parseWallet } from "#common/address.ts";
import { DomainError, invalidField } from "#common/domain-error.ts";
import { formatAttestation, formatIntent, parseWalletSignature } from "#common/intent/codec.ts";
import { requirePrincipal } from "#common/rpc/access/principal.ts";
import { limitOf } from "#common/rpc/call-limit.ts";
import type { Implementation } from "#common/rpc/mount.ts";
import { streamEnds } from "#common/rpc/stream-ends.ts";
import { parseU128 } from "#common/u128.ts";
import type { List, PageTokens } from "#common/wire/page-token.ts";
import type { OrderKey } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import type {
  CancelCheckoutRequest,
  CheckoutService,
  CreateCheckoutRequest,
  GetCheckoutRequest,
  ListCheckoutsRequest,
  ListWebhookEventsRequest,
  RefundCheckoutRequest,
  WatchCheckoutRequest,
} from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import {
  formatCheckout,
  formatFulfilment,
  formatProduct,
  formatRefund,
  formatWebhookEvent,
  parsePaymentMethod,
  parseState,
  parseWebhookState,
} from "./codec.ts";
import type { CheckoutKey, Checkouts, Created, CreateRequest } from "./order/checkouts.ts";
import type { OrderName } from "./order/find-order.ts";
import type { Fulfilments } from "./order/fulfilment.ts";
import { products } from "./order/products.ts";
import { clearedAttempt, currentAttempt, purchaseOf } from "./order/record.ts";
import type { CheckoutFilter } from "./ports.ts";
import type { Refunds } from "./refunds/give-back.ts";
import type { WebhookEvents } from "./webhooks/operators-list.ts";

export interface CheckoutServiceDeps {
  readonly checkouts: Checkouts;
  readonly refunds: Refunds;
  readonly fulfilments: Fulfilments;
  /** Undefined: no card can be charged here, so Stripe tells nothing. */
  readonly webhooks: WebhookEvents | undefined;
  readonly pageTokens: PageTokens;
  /** When a stream must have ended itself, counted from its start. */
  readonly streamAgeMsMax: number;
}

const pageSizeDefault = 100;

/** CheckoutService: wire to domain and back. */
export function createCheckoutService(
  deps: CheckoutServiceDeps,
): Implementation<typeof CheckoutService> {
  const { checkouts } = deps;
  return {
    listProducts: () => ({ products: products.map(formatProduct) }),

    async createCheckout(request, ctx) {
      const caller = requirePrincipal(ctx);
      return formatCreated(await checkouts.create(parseCreate(request), caller, limitOf(ctx)));
    },

    async getCheckout(request, ctx) {
      const record = await checkouts.get(parseKey(request.key), requirePrincipal(ctx));
      return { checkout: formatCheckout(record) };
    },

    watchCheckout: (request, ctx) => watchCheckout(deps, request, ctx),

    listCheckouts: (request, ctx) => listCheckouts(deps, request, ctx),

    async cancelCheckout(request, ctx) {
      const key = parseKey(request.key);
      const record = await checkouts.cancel(key, requirePrincipal(ctx), limitOf(ctx));
      return { checkout: formatCheckout(record) };
    },

    async refundCheckout(request, ctx) {
      const asked = { ...parseOrder(request, ctx), amount: parseRefundAmount(request) };
      const { entry, record } = await deps.refunds.refund(asked, limitOf(ctx));
      return { refund: formatRefund(entry), checkout: formatCheckout(record) };
    },

    async fulfilCheckout(request, ctx) {
      const asked = parseOrder(request, ctx);
      const { entry, record } = await deps.fulfilments.fulfil(asked, limitOf(ctx));
      return { fulfilment: formatFulfilment(entry), checkout: formatCheckout(record) };
    },

    listWebhookEvents: (request) => listWebhookEvents(deps, request),

    async replayWebhookEvent({ eventId }) {
      if (deps.webhooks === undefined) {
        throw new DomainError("WEBHOOK_EVENT_NOT_FOUND", `there is no event ${eventId}`, {
          metadata: { eventId },
        });
      }
      return { event: formatWebhookEvent(await deps.webhooks.replay(eventId)) };
    },
  };
}

async function* watchCheckout(
  deps: CheckoutServiceDeps,
  request: WatchCheckoutRequest,
  ctx: HandlerContext,
) {
  const caller = requirePrincipal(ctx);
  const ends = streamEnds(ctx, deps.streamAgeMsMax);
  for await (const record of deps.checkouts.watch(parseKey(request.key), caller, ends)) {
    yield { checkout: formatCheckout(record) };
  }
}

async function listCheckouts(
  { checkouts, pageTokens }: CheckoutServiceDeps,
  request: ListCheckoutsRequest,
  ctx: HandlerContext,
) {
  const caller = requirePrincipal(ctx);
  const filter: CheckoutFilter = {
    merchantId: request.merchantId,
    wallet: request.wallet === "" ? "" : parseWallet(request.wallet, "wallet"),
    state: parseState(request.state),
  };
  const { merchantId, wallet, state } = filter;
  const list: List = ["checkouts", caller.wallet, caller.merchant, merchantId, wallet, state];
  const limit = request.pageSize === 0 ? pageSizeDefault : request.pageSize;
  const after = openPage(pageTokens, list, request.pageToken);
  const found = await checkouts.list(filter, caller, after, limit + 1);
  const page = found.slice(0, limit);
  const last = found.length > limit ? page.at(-1)?.order.intentId : undefined;
  return {
    checkouts: page.map(formatCheckout),
    nextPageToken: sealPage(pageTokens, list, last),
  };
}

async function listWebhookEvents(
  { webhooks, pageTokens }: CheckoutServiceDeps,
  request: ListWebhookEventsRequest,
) {
  const state = parseWebhookState(request.state);
  const list: List = ["webhook events", state];
  const limit = request.pageSize === 0 ? pageSizeDefault : request.pageSize;
  const after = openPage(pageTokens, list, request.pageToken);
  const page = (await webhooks?.list({ state }, after, limit)) ?? { events: [], next: undefined };
  return {
    events: page.events.map(formatWebhookEvent),
    nextPageToken: sealPage(pageTokens, list, page.next),
  };
}

/** The position after which a page starts; undefined for the first. Throws INVALID_FIELD. */
function openPage(pageTokens: PageTokens, list: List, token: string): string | undefined {
  return token === "" ? undefined : pageTokens.open(list, token).toString("utf8");
}

/** The token of the page after a position; "" if there is none. */
function sealPage(pageTokens: PageTokens, list: List, last: string | undefined): string {
  return last === undefined ? "" : pageTokens.seal(list, Buffer.from(last, "utf8"));
}

function formatCreated({ record, payment }: Created) {
  const purchase = purchaseOf(record);
  const { intent, attestation } = currentAttempt(purchase);
  const { paymentMethod, paymentIntentId } = record.order;
  // What pays a card's purchase is Stripe's word, which the intent does not carry: whoever held its attestation before
  // the card has paid could clear it for nothing.
  const isShown = paymentMethod === "BALANCE" || clearedAttempt(purchase) !== undefined;
  return {
    checkout: formatCheckout(record),
    clientSecret: payment?.clientSecret ?? "",
    paymentIntentId,
    intent: formatIntent(intent),
    ...(attestation === undefined || !isShown
      ? {}
      : { attestation: formatAttestation(attestation) }),
  };
}

function parseCreate(request: CreateCheckoutRequest): CreateRequest {
  const paymentMethod = parsePaymentMethod(request.paymentMethod);
  if (paymentMethod === undefined) {
    throw invalidField("payment_method", "enum.defined_only", "is unknown");
  }
  const { expectedAmount } = request;
  return {
    intentId: request.intentId,
    wallet: parseWallet(request.wallet, "wallet"),
    merchantId: request.merchantId,
    orderId: request.orderId,
    items: request.items.map(({ sku, quantity }) => ({ sku, quantity })),
    expectedAmount:
      expectedAmount === undefined ? undefined : parseU128(expectedAmount, "expected_amount"),
    paymentMethod,
    walletSignature: parseWalletSignature(request.walletSignature, "wallet_signature"),
    burnPoscr: request.burnPoscr,
  };
}

function parseKey(
  key: (GetCheckoutRequest | WatchCheckoutRequest | CancelCheckoutRequest)["key"],
): CheckoutKey {
  switch (key.case) {
    case "intentId":
      return { intentId: key.value };
    case "order":
      return parseOrderKey(key.value);
    case undefined:
      throw invalidField("key", "oneof.required", "names the checkout");
  }
}

function parseOrderKey({ merchantId, orderId, wallet }: OrderKey): OrderName {
  const owner = wallet === "" ? "" : parseWallet(wallet, "order.wallet");
  return { merchantId, orderId, wallet: owner };
}

/** Undefined: by items. Throws INVALID_FIELD unless there is one of both. */
function parseRefundAmount({ amount, items }: RefundCheckoutRequest): bigint | undefined {
  if ((amount === undefined) === (items.length === 0)) {
    throw invalidField("items", "refund.one_of", "give either items or an amount");
  }
  return amount === undefined ? undefined : parseU128(amount, "amount");
}

function parseOrder(
  request: Pick<RefundCheckoutRequest, "items" | "intentId"> & { order?: OrderKey | undefined },
  ctx: HandlerContext,
) {
  const { order } = request;
  if (order === undefined) throw invalidField("order", "required", "is required");
  return {
    ...parseOrderKey(order),
    caller: requirePrincipal(ctx),
    items: request.items.map(({ sku, quantity }) => ({ sku, quantity })),
    intentId: request.intentId,
  };
}
