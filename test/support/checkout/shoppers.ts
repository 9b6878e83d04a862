import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { formatIntent, parseIntent } from "#common/intent/codec.ts";
import { addressOfPrivateKey } from "#common/intent/signature.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { CheckoutState, PaymentMethod } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import type { CreateCheckoutResponse } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { signIntent } from "../../../cli/client/intents.ts";
import type { Wallet } from "../../../cli/client/wallets.ts";
import { newPrivateKey } from "../../../cli/state/keys.ts";
import type { Outcome } from "../postgres/persist.ts";
import {
  ask,
  checkoutClient,
  count,
  type Market,
  type MarketClient,
  type MarketItem,
  otherMerchant,
  type Purchase,
  pick,
} from "./market.ts";

const skus = ["MILK", "EGGS", "BREAD", "BUNDLE"];
const payingCards = ["visa", "visa_debit", "mastercard", "amex", "pendingRefund", "refundFail"];
const decliningCards = [
  "chargeDeclined",
  "chargeDeclinedInsufficientFunds",
  "chargeDeclinedLostCard",
];

export function newWallet(name: string): Wallet {
  const key = newPrivateKey();
  return { name, address: addressOfPrivateKey(key), privateKey: `0x${key.toString("hex")}` };
}

/** One to four items; now and then as many units as anyone may buy. */
export function randomItems(random: () => number): MarketItem[] {
  const wanted = skus.filter(() => random() < 0.4);
  const quantity = () => (random() < 0.02 ? 10_000 : 1 + Math.floor(random() * 5));
  return (wanted.length === 0 ? [pick(random, skus)] : wanted).map((sku) => ({
    sku,
    quantity: quantity(),
  }));
}

/** Somebody orders, and pays, or does not. `balance`: the wallet that pays; undefined: a card does. */
export async function shop(
  market: Market,
  random: () => number,
  balance: Wallet | undefined,
): Promise<void> {
  const purchase: Purchase = {
    intentId: newUuidV7(),
    orderId: `order ${newUuidV7()}`,
    wallet: balance ?? newWallet("card"),
    byCard: balance === undefined,
    items: randomItems(random),
    startMs: Date.now(),
    paymentIntentId: "",
    clientSecret: "",
    toldCleared: false,
    refusal: "",
  };
  const { address } = purchase.wallet;
  const client = checkoutClient(market, { scopes: ["checkout.buy"], wallet: address });
  await Promise.all([
    random() < 0.2 ? watch(market, client, purchase) : undefined,
    random() < 0.1 ? orderRival(market, client, purchase) : undefined,
    buy(market, random, client, purchase),
  ]);
}

async function buy(
  market: Market,
  random: () => number,
  client: MarketClient,
  purchase: Purchase,
): Promise<void> {
  const { answer: created } = await order(market, client, purchase);
  if (created === undefined) return;
  if (purchase.byCard) await payByCard(market, random, purchase);
  else await payFromBalance(market, random, { client, purchase, created });
  // Some come back to see what became of it, with the request that they made.
  if (random() < 0.3) await order(market, client, purchase);
}

const orderRefusals = ["INTENT_EXPIRED", "INTENT_FAILED", "ORDER_ID_REUSED", "INSUFFICIENT_FUNDS"];

/** Sends the purchase, now and then twice at once. */
async function order(
  market: Market,
  client: MarketClient,
  purchase: Purchase,
  walletSignature = "",
): Promise<Outcome<CreateCheckoutResponse>> {
  const { intentId, wallet, orderId, items, byCard } = purchase;
  const what = walletSignature === "" ? "order" : "sign";
  const outcome = await ask(market, what, orderRefusals, () =>
    client.createCheckout({
      intentId,
      wallet: wallet.address,
      merchantId: market.merchantId,
      orderId,
      items: [...items],
      paymentMethod: byCard ? PaymentMethod.CARD : PaymentMethod.BALANCE,
      walletSignature,
    }),
  );
  if (outcome.answer === undefined) {
    purchase.refusal = outcome.reason;
    return outcome;
  }
  const { answer } = outcome;
  if (!market.purchases.includes(purchase)) market.purchases.push(purchase);
  if (answer.paymentIntentId !== "") purchase.paymentIntentId = answer.paymentIntentId;
  if (answer.clientSecret !== "") purchase.clientSecret = answer.clientSecret;
  if (answer.checkout?.state === CheckoutState.CLEARED) purchase.toldCleared = true;
  return outcome;
}

/** The same order of other items, by another intent: at most one of the two comes into being. */
async function orderRival(market: Market, client: MarketClient, first: Purchase): Promise<void> {
  const rival: Purchase = {
    ...first,
    intentId: newUuidV7(),
    items: [{ sku: "MILK", quantity: 77 }],
  };
  await order(market, client, rival);
}

async function payByCard(market: Market, random: () => number, purchase: Purchase): Promise<void> {
  if (purchase.clientSecret === "") return;
  const fate = random();
  const card = pick(random, payingCards);
  if (fate < 0.1) return count(market, "abandoned");
  if (fate < 0.25) await confirm(market, random, purchase, pick(random, decliningCards));
  if (fate < 0.17) return;
  if (fate < 0.5) {
    // Late: about when the time is up, and on past the end of the intent.
    const dueMs = purchase.startMs + market.lifetimeMs * (0.8 + 1.6 * random());
    await sleep(Math.max(0, dueMs - Date.now()));
  } else if (fate < 0.54) {
    await changeAmount(market, purchase);
    // What buys nothing is given back outside of the books, and a refund of it that fails is a matter for people.
    await confirm(market, random, purchase, "visa");
    return;
  } else await sleep(300 * random());
  if (fate > 0.94) return authenticate(market, random, purchase);
  await confirm(market, random, purchase, card);
  if (random() < 0.1) await confirm(market, random, purchase, card);
}

/** Somebody with access to Stripe's dashboard meddles with a payment that is still open. */
async function changeAmount(market: Market, { paymentIntentId }: Purchase): Promise<void> {
  await ask(market, "change the amount", ["payment_intent_unexpected_state"], () =>
    market.dashboard.paymentIntents.update(paymentIntentId, { amount: 123 }),
  );
}

const cardRefusals = [
  "payment_intent_unexpected_state",
  "card_declined",
  "authentication_required",
];

/** The shopper's browser pays; it may be told nothing, and then it tries again. */
async function confirm(
  market: Market,
  random: () => number,
  { paymentIntentId, clientSecret }: Purchase,
  card: string,
): Promise<void> {
  const params = { client_secret: clientSecret, payment_method: `pm_card_${card}` };
  const key = random() < 0.5 ? { idempotencyKey: newUuidV7() } : {};
  await ask(market, "pay", cardRefusals, () =>
    market.browser.paymentIntents.confirm(paymentIntentId, params, key),
  );
}

async function authenticate(
  market: Market,
  random: () => number,
  purchase: Purchase,
): Promise<void> {
  await confirm(market, random, purchase, "authenticationRequired");
  await sleep(500 * random());
  // Refused where the payment was cancelled meanwhile; it is not tried again where the simulator is away.
  await market.sim.authenticate(purchase.paymentIntentId, random() < 0.7).catch(() => undefined);
}

interface Balance {
  readonly client: MarketClient;
  readonly purchase: Purchase;
  readonly created: CreateCheckoutResponse;
}

async function payFromBalance(
  market: Market,
  random: () => number,
  { client, purchase, created }: Balance,
): Promise<void> {
  const { identity } = market.mesh;
  if (created.intent === undefined) throw new Error("no intent came");
  const intent = parseIntent(created.intent);
  const signature = signIntent(intent, purchase.wallet, identity);
  const fate = random();
  if (fate < 0.1) return count(market, "not signed");
  if (fate < 0.2) {
    const wrong = signIntent(intent, newWallet("thief"), identity);
    await refuseSignature(market, client, purchase, wrong);
  }
  if (fate < 0.35) {
    const dueMs = purchase.startMs + market.lifetimeMs * (0.8 + 0.4 * random());
    await sleep(Math.max(0, dueMs - Date.now()));
  }
  if (fate > 0.97) {
    // Another purchase under the same id, which pays for nothing here.
    const other = { ...intent, merchantId: otherMerchant };
    const otherSignature = signIntent(other, purchase.wallet, identity);
    return clearAlone(market, purchase, { intent: other, signature: otherSignature });
  }
  if (fate > 0.85) await clearAlone(market, purchase, { intent, signature });
  if (fate > 0.93) return;
  const times = fate > 0.75 ? 2 : 1;
  await Promise.all(
    Array.from({ length: times }, () => order(market, client, purchase, signature)),
  );
}

async function refuseSignature(
  market: Market,
  client: MarketClient,
  purchase: Purchase,
  walletSignature: string,
): Promise<void> {
  const { intentId, wallet, orderId, items } = purchase;
  const reasons = ["WALLET_SIGNATURE_INVALID", "INTENT_EXPIRED", "INTENT_FAILED"];
  const { answer } = await ask(market, "sign wrongly", reasons, () =>
    client.createCheckout({
      intentId,
      wallet: wallet.address,
      merchantId: market.merchantId,
      orderId,
      items: [...items],
      paymentMethod: PaymentMethod.BALANCE,
      walletSignature,
    }),
  );
  if (answer !== undefined) market.strange.push(`a wrong signature was taken for ${intentId}`);
}

/** The wallet takes its intent past Checkout: it has it attested, and clears it, once and without a second try. */
async function clearAlone(
  market: Market,
  { wallet }: Purchase,
  { intent, signature }: { intent: ReturnType<typeof parseIntent>; signature: string },
): Promise<void> {
  const scopes = ["attest", "clearing.write"];
  const transport = market.transport({ scopes, wallet: wallet.address });
  try {
    const { attestation } = await createClient(AttestorService, transport).attest({
      intent: formatIntent(intent),
      walletSignature: signature,
    });
    if (attestation === undefined) return;
    await createClient(ClearingService, transport).clear({
      intent: formatIntent(intent),
      attestation,
    });
    count(market, "cleared by the wallet itself");
  } catch {
    count(market, "not cleared by the wallet itself");
  }
}

const final: readonly CheckoutState[] = [
  CheckoutState.CLEARED,
  CheckoutState.CANCELLED,
  CheckoutState.FAILED,
];

/** Follows a checkout until it is decided, or the stream ends: its revisions grow. */
async function watch(market: Market, client: MarketClient, purchase: Purchase): Promise<void> {
  let revision = -1n;
  const key = { case: "intentId" as const, value: purchase.intentId };
  try {
    const signal = AbortSignal.timeout(4 * market.lifetimeMs);
    await sleep(500);
    for await (const { checkout } of client.watchCheckout({ key }, { signal, timeoutMs: 0 })) {
      if (checkout === undefined) continue;
      if (checkout.revision <= revision) market.strange.push("a watched revision did not grow");
      revision = checkout.revision;
      if (final.includes(checkout.state)) break;
    }
    count(market, "watched");
  } catch {
    count(market, "watched in part");
  }
}
