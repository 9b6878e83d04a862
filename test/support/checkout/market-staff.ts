import { setTimeout as sleep } from "node:timers/promises";
import type { Stripe } from "stripe";
import { newUuidV7 } from "#common/uuid.ts";
import { CheckoutState } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import {
  ask,
  checkoutClient,
  count,
  type Market,
  type MarketClient,
  type Purchase,
  pick,
  type StaffRequest,
} from "./market.ts";
import { randomItems } from "./shoppers.ts";

export interface StaffOptions {
  readonly market: Market;
  readonly random: () => number;
  readonly isOver: () => boolean;
}

const entryRefusals = ["NOT_REFUNDABLE", "NOT_FULFILLABLE", "CHECKOUT_NOT_FOUND", "LIMIT_EXCEEDED"];
/** Admins look at the newest orders, and so at the same ones. */
const newestCount = 20;
const openStates = [CheckoutState.CLEARED, CheckoutState.PARTLY_REFUNDED];

/** Mostly one of the newest that have cleared, else any. */
async function nextOrder(
  market: Market,
  client: MarketClient,
  random: () => number,
): Promise<Pick<Purchase, "orderId" | "items"> | undefined> {
  if (random() < 0.2) return somePurchase(market, random, newestCount);
  const request = { state: pick(random, openStates), pageSize: newestCount };
  const checkouts = await client.listCheckouts(request).then(
    (page) => page.checkouts,
    () => [],
  );
  if (checkouts.length === 0) return undefined;
  const { order, items } = pick(random, checkouts);
  return { orderId: order?.orderId ?? "", items };
}

/** An admin refunds and hands over what comes their way, until it is over. */
export async function administer({ market, random, isOver }: StaffOptions): Promise<void> {
  const client = checkoutClient(market, { scopes: ["checkout.admin"] });
  while (!isOver()) {
    await sleep(50 + 100 * random());
    const purchase = await nextOrder(market, client, random);
    if (purchase === undefined) continue;
    const request: StaffRequest = {
      kind: random() < 0.6 ? "REFUND" : "FULFILMENT",
      intentId: newUuidV7(),
      orderId: purchase.orderId,
      items: itemsOf(purchase, random),
      outcome: "UNKNOWN",
    };
    await requestItems(market, client, request, random() < 0.15 ? 2 : 1);
  }
}

/** Some units of what was ordered, and now and then of what was not. */
function itemsOf({ items }: Pick<Purchase, "items">, random: () => number) {
  if (random() < 0.03) return randomItems(random);
  const some = items.filter(() => random() < 0.6);
  return (some.length === 0 ? items : some).map(({ sku, quantity }) => ({
    sku,
    quantity: random() < 0.2 ? quantity : 1 + Math.floor((random() * quantity) / 2),
  }));
}

async function requestItems(
  market: Market,
  client: MarketClient,
  request: StaffRequest,
  times: number,
): Promise<void> {
  market.requests.push(request);
  const send = () =>
    ask(market, request.kind.toLowerCase(), entryRefusals, () =>
      sendRequest(market, client, request),
    );
  const outcomes = await Promise.all(Array.from({ length: times }, send));
  const stored = outcomes.some(({ reason }) => reason === undefined);
  request.outcome = stored ? "STORED" : "REFUSED";
}

async function sendRequest(
  { merchantId }: Market,
  client: MarketClient,
  request: StaffRequest,
): Promise<void> {
  const { intentId, orderId, kind } = request;
  const body = { order: { merchantId, orderId }, items: [...request.items], intentId };
  await (kind === "REFUND" ? client.refundCheckout(body) : client.fulfilCheckout(body));
}

function somePurchase(
  { purchases }: Market,
  random: () => number,
  newest = purchases.length,
): Purchase | undefined {
  const some = purchases.slice(-newest);
  return some.length === 0 ? undefined : pick(random, some);
}

const refundRefusals = ["charge_already_refunded", "StripeInvalidRequestError"];

/** Somebody at Stripe's dashboard: refunds of any amount, refunds that fail, payments cancelled, payments of others. */
export async function meddle({ market, random, isOver }: StaffOptions): Promise<void> {
  while (!isOver()) {
    await sleep(50 + 100 * random());
    const purchase = somePurchase(market, random);
    if (purchase === undefined || purchase.paymentIntentId === "") continue;
    const kind = random();
    if (kind < 0.6) await refundSome(market, random, purchase);
    else if (kind < 0.85) await failSomeRefund(market, random, purchase);
    else if (kind < 0.95) await cancelPayment(market, purchase);
    else await payForAnother(market, random, purchase);
  }
}

async function refundSome(
  market: Market,
  random: () => number,
  { paymentIntentId }: Purchase,
): Promise<void> {
  const key = newUuidV7();
  await ask(market, "refund at Stripe", refundRefusals, async () => {
    const { amount_received: paid } =
      await market.dashboard.paymentIntents.retrieve(paymentIntentId);
    if (paid === 0) return;
    const share = random() < 0.2 ? 1 : random() * 0.6;
    const amount = Math.max(1, Math.floor(paid * share));
    // The amount is another at every try: a key of its own for each.
    await market.dashboard.refunds.create(
      { payment_intent: paymentIntentId, amount },
      { idempotencyKey: `${key}-${amount}` },
    );
    count(market, "refunded at Stripe");
  });
}

async function failSomeRefund(
  market: Market,
  random: () => number,
  { paymentIntentId }: Purchase,
): Promise<void> {
  try {
    const { data } = await market.dashboard.refunds.list({ payment_intent: paymentIntentId });
    if (data.length === 0) return;
    // Not what gave back a payment that bought nothing: that is a matter for people.
    const booked = data.filter((refund) => !isReturn(market, refund));
    if (booked.length === 0) return;
    await market.sim.failRefund(pick(random, booked).id);
    count(market, "failed a refund");
  } catch {
    count(market, "could not fail a refund");
  }
}

function isReturn({ purchases }: Market, { metadata }: Stripe.Refund): boolean {
  return purchases.some(({ intentId }) => intentId === metadata?.["intent_id"]);
}

async function cancelPayment(market: Market, { paymentIntentId }: Purchase): Promise<void> {
  await ask(market, "cancel at Stripe", ["payment_intent_unexpected_state"], () =>
    market.dashboard.paymentIntents.cancel(paymentIntentId),
  );
}

/** A payment that is none of ours, also where its metadata says so. */
async function payForAnother(
  market: Market,
  random: () => number,
  { intentId }: Purchase,
): Promise<void> {
  const metadata: Record<string, string> = random() < 0.5 ? { intent_id: intentId } : {};
  await ask(market, "pay for something else", [], () =>
    market.dashboard.paymentIntents.create(
      {
        amount: 350,
        currency: "usd",
        allowed_payment_method_types: ["card"],
        payment_method: "pm_card_visa",
        confirm: true,
        metadata: { ...metadata, stray: "yes" },
      },
      { idempotencyKey: newUuidV7() },
    ),
  );
}
