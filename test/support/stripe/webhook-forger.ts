import { setTimeout as sleep } from "node:timers/promises";
import { newUuidV7 } from "#common/uuid.ts";
import { signWebhook } from "../../../services/stripe-sim/webhooks/signature.ts";
import { count, type Market, type Purchase, pick } from "../checkout/market.ts";
import type { StaffOptions } from "../checkout/market-staff.ts";

/** How a webhook is false. LIE: rightly signed, by somebody who has the secret, and untrue. */
const forgeries = [
  "no signature",
  "another secret",
  "too old",
  "too new",
  "changed after it was signed",
  "LIE",
] as const;
type Forgery = (typeof forgeries)[number];

const answerMs = 5_000;
/** What Envoy answers for a Checkout that is away. */
const away = new Set([429, 502, 503, 504]);

/** Tells Checkout that payments succeeded and refunds were made that were not, until it is over. */
export async function forge({ market, random, isOver }: StaffOptions): Promise<void> {
  while (!isOver()) {
    await sleep(80 + 120 * random());
    const known = market.purchases.filter(({ paymentIntentId }) => paymentIntentId !== "");
    if (known.length === 0) continue;
    await forgeOne(market, pick(random, known.slice(-30)), pick(random, forgeries), random());
  }
}

async function forgeOne(
  market: Market,
  purchase: Purchase,
  forgery: Forgery,
  kind: number,
): Promise<void> {
  const body = JSON.stringify(kind < 0.7 ? paidEvent(purchase) : refundEvent(purchase));
  const now = Math.floor(Date.now() / 1_000);
  const { webhookSecret: secret } = market;
  const headers: Record<Forgery, string | undefined> = {
    "no signature": undefined,
    "another secret": signWebhook(body, ["whsec_somebody_elses"], now),
    "too old": signWebhook(body, [secret], now - 400),
    "too new": signWebhook(body, [secret], now + 400),
    "changed after it was signed": signWebhook(`${body} `, [secret], now),
    LIE: signWebhook(body, [secret], now),
  };
  const status = await post(market, body, headers[forgery]);
  if (status === undefined) return;
  count(market, `forged, ${forgery}`);
  const wanted = forgery === "LIE" ? 200 : 400;
  if (status !== wanted) market.strange.push(`a webhook with ${forgery} was answered ${status}`);
}

/** The status of Checkout's answer; undefined if it was away. */
async function post(
  { mesh }: Market,
  body: string,
  signature: string | undefined,
): Promise<number | undefined> {
  try {
    const response = await fetch(`http://${mesh.address}/webhooks/stripe`, {
      method: "POST",
      headers: {
        "content-type": "application/json; charset=utf-8",
        ...(signature === undefined ? {} : { "stripe-signature": signature }),
      },
      body,
      signal: AbortSignal.timeout(answerMs),
    });
    await response.body?.cancel();
    return away.has(response.status) ? undefined : response.status;
  } catch {
    return undefined;
  }
}

function paidEvent({ paymentIntentId, intentId }: Purchase): object {
  return eventOf("payment_intent.succeeded", {
    id: paymentIntentId,
    object: "payment_intent",
    status: "succeeded",
    amount: 750,
    amount_received: 750,
    currency: "usd",
    metadata: { intent_id: intentId },
  });
}

function refundEvent({ paymentIntentId }: Purchase): object {
  return eventOf("charge.refunded", {
    id: "ch_forged",
    object: "charge",
    payment_intent: paymentIntentId,
    amount_captured: 100,
    amount_refunded: 100,
    refunded: true,
  });
}

function eventOf(type: string, object: object): object {
  const id = `evt_forged_${newUuidV7().replaceAll("-", "")}`;
  const created = Math.floor(Date.now() / 1_000);
  return { id, object: "event", type, created, livemode: false, data: { object } };
}
