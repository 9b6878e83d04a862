import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { formatU128 } from "#common/u128.ts";
import { formatNanoseconds } from "#common/wire/timestamps.ts";
import {
  type Checkout,
  CheckoutSchema,
  CheckoutState as CheckoutStateProto,
  EntryState as EntryStateProto,
  type Fulfilment,
  FulfilmentSchema,
  ItemState as ItemStateProto,
  PaymentMethod as PaymentMethodProto,
  type Refund,
  RefundSchema,
} from "#gen/sovr/checkout/v1/checkout_pb.ts";
import {
  type WebhookEvent,
  WebhookEventSchema,
  WebhookEventState as WebhookStateProto,
} from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { type Product as ProductProto, ProductSchema } from "#gen/sovr/checkout/v1/product_pb.ts";
import { ErrorReason } from "#gen/sovr/common/v1/error_reason_pb.ts";
import { type ItemState, itemsOf } from "./order/lines.ts";
import { type Product, priceOf, usd } from "./order/products.ts";
import {
  type CheckoutRecord,
  type CheckoutState,
  clearedAttempt,
  type Entry,
  type EntryState,
  entryAmount,
  type PaymentMethod,
  purchaseOf,
} from "./order/record.ts";
import type { StoredWebhook, WebhookState } from "./webhooks/ports.ts";

const states = {
  CREATED: CheckoutStateProto.CREATED,
  AWAITING_SIGNATURE: CheckoutStateProto.AWAITING_SIGNATURE,
  AWAITING_PAYMENT: CheckoutStateProto.AWAITING_PAYMENT,
  PAID: CheckoutStateProto.PAID,
  CLEARED: CheckoutStateProto.CLEARED,
  CANCELLED: CheckoutStateProto.CANCELLED,
  FAILED: CheckoutStateProto.FAILED,
  PARTLY_REFUNDED: CheckoutStateProto.PARTLY_REFUNDED,
  REFUNDED: CheckoutStateProto.REFUNDED,
} as const satisfies Record<CheckoutState, CheckoutStateProto>;

const statesByProto = new Map(
  Object.entries(states).map(([state, proto]) => [proto as number, state as CheckoutState]),
);

const entryStates = {
  PENDING: EntryStateProto.PENDING,
  CLEARED: EntryStateProto.CLEARED,
  FAILED: EntryStateProto.FAILED,
  CORRECTED: EntryStateProto.CORRECTED,
} as const satisfies Record<EntryState, EntryStateProto>;

const itemStates = {
  OPEN: ItemStateProto.OPEN,
  PARTLY_FULFILLED: ItemStateProto.PARTLY_FULFILLED,
  FULFILLED: ItemStateProto.FULFILLED,
} as const satisfies Record<ItemState, ItemStateProto>;

const methods = {
  CARD: PaymentMethodProto.CARD,
  BALANCE: PaymentMethodProto.BALANCE,
} as const satisfies Record<PaymentMethod, PaymentMethodProto>;

/** A state as requests name it; undefined for the unspecified one. */
export function parseState(state: CheckoutStateProto): CheckoutState | undefined {
  return statesByProto.get(state);
}

/** A payment method as requests name it; undefined for one that is none. */
export function parsePaymentMethod(
  method: PaymentMethodProto,
): PaymentMethod | "POSCR" | undefined {
  switch (method) {
    case PaymentMethodProto.CARD:
      return "CARD";
    case PaymentMethodProto.BALANCE:
      return "BALANCE";
    case PaymentMethodProto.POSCR:
      return "POSCR";
    default:
      return undefined;
  }
}

/** Writes a product for the wire. */
export function formatProduct(product: Product): ProductProto {
  return create(ProductSchema, {
    sku: product.sku,
    name: product.name,
    description: product.description,
    price: { amount: formatU128(priceOf(product)), ledger: usd },
    postings: product.goods.map(({ accountId, accountName, unitAmount }) => ({
      creditAccountId: formatU128(accountId),
      accountName,
      amount: formatU128(unitAmount),
    })),
  });
}

/** The most refunds, and the most fulfilments, that an answer holds. */
const listedMax = 1_000;

/** Writes a checkout for the wire: of a very long list the newest. */
export function formatCheckout(record: CheckoutRecord): Checkout {
  const { order, entries } = record;
  const purchase = purchaseOf(record);
  const cleared = clearedAttempt(purchase);
  return create(CheckoutSchema, {
    intentId: order.intentId,
    order: {
      merchantId: order.merchantId,
      orderId: order.orderId,
      wallet: order.merchantsOwn ? "" : order.wallet,
    },
    wallet: order.wallet,
    items: itemsOf(record).map((item) => ({
      sku: item.sku,
      quantity: item.quantity,
      amount: formatU128(item.amount),
      fulfilledQuantity: item.fulfilledQuantity,
      refundedAmount: formatU128(item.refundedAmount),
      state: itemStates[item.state],
    })),
    amount: formatU128(order.amount),
    ledger: order.ledger,
    paymentMethod: methods[order.paymentMethod],
    state: states[order.state],
    transitions: record.transitions.map(({ from, to, timeMs, cause }) => ({
      fromState: from === undefined ? CheckoutStateProto.UNSPECIFIED : states[from],
      toState: states[to],
      transitionTime: timestampFromMs(timeMs),
      cause,
    })),
    createTime: timestampFromMs(order.createTimeMs),
    expireTime: timestampFromMs(order.expireTimeMs),
    paymentIntentId: order.paymentIntentId,
    purchases: purchase.attempts.map(({ intent, attestation, state, createTimeMs }) => ({
      intentId: intent.intentId,
      digest: attestation?.digest ?? "",
      state: entryStates[state === "DEAD" ? "FAILED" : state],
      createTime: timestampFromMs(createTimeMs),
    })),
    clearedIntentId: cleared?.intent.intentId ?? "",
    ...(cleared?.commitTimestamp === undefined
      ? {}
      : { commitTime: formatNanoseconds(cleared.commitTimestamp) }),
    refunds: entries
      .filter(({ kind }) => kind === "REFUND")
      .slice(-listedMax)
      .map(formatRefund),
    fulfilments: entries
      .filter(({ kind }) => kind === "FULFILMENT")
      .slice(-listedMax)
      .map(formatFulfilment),
    failureReason: reasonOf(order.failureReason),
    declineCode: order.declineCode,
    revision: order.revision,
  });
}

/** Writes a REFUND entry for the wire. */
export function formatRefund(entry: Entry): Refund {
  const owed = entry.portions.filter(({ bearer }) => bearer === "OBLIGATION");
  return create(RefundSchema, {
    intentId: entry.entryId,
    amount: formatU128(entryAmount(entry)),
    obligationAmount: formatU128(entryAmount({ portions: owed })),
    state: entryStates[entry.state],
    stripeRefundId: entry.stripeRefundId,
    external: entry.external,
    createTime: timestampFromMs(entry.createTimeMs),
  });
}

/** Writes a FULFILMENT entry for the wire. */
export function formatFulfilment(entry: Entry): Fulfilment {
  const agent = entry.attempts[0]?.intent.postings[0]?.creditAccountId;
  return create(FulfilmentSchema, {
    intentId: entry.entryId,
    items: entry.items.map(({ sku, quantity }) => ({ sku, quantity })),
    agentAccountId: agent === undefined ? "" : formatU128(agent),
    state: entryStates[entry.state],
    createTime: timestampFromMs(entry.createTimeMs),
  });
}

function reasonOf(name: string): ErrorReason {
  return name in ErrorReason
    ? ErrorReason[name as keyof typeof ErrorReason]
    : ErrorReason.UNSPECIFIED;
}

const webhookStates = {
  PENDING: WebhookStateProto.PENDING,
  DONE: WebhookStateProto.DONE,
  IGNORED: WebhookStateProto.IGNORED,
  DEAD: WebhookStateProto.DEAD,
} as const satisfies Record<WebhookState, WebhookStateProto>;

const webhookStatesByProto = new Map(
  Object.entries(webhookStates).map(([state, proto]) => [proto as number, state as WebhookState]),
);

/** A webhook event's state as requests name it; undefined for the unspecified one. */
export function parseWebhookState(state: WebhookStateProto): WebhookState | undefined {
  return webhookStatesByProto.get(state);
}

/** Writes a webhook event for the wire. */
export function formatWebhookEvent(event: StoredWebhook): WebhookEvent {
  return create(WebhookEventSchema, {
    eventId: event.eventId,
    type: event.type,
    paymentIntentId: event.paymentIntentId,
    state: webhookStates[event.state],
    attempts: event.attempts,
    lastError: event.lastError,
    createTime: timestampFromMs(event.createTimeMs),
    receiveTime: timestampFromMs(event.receiveTimeMs),
    ...(event.processTimeMs === undefined
      ? {}
      : { processTime: timestampFromMs(event.processTimeMs) }),
  });
}
