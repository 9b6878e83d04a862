/*
 * Goal: code that works with the simulator of Stripe works with Stripe. Method: the official SDK drives everything; at
 * the end each of its calls is sent to Stripe's own stripe-mock as well, which must accept it, and each answer and
 * event is checked against Stripe's OpenAPI document.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Stripe } from "stripe";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { findProgram } from "../../cli/command/run-program.ts";
import { type StartedStripeSim, startStripeSim } from "../../services/stripe-sim/start.ts";
import { createStripe, type StripeCall } from "../support/stripe/calls.ts";
import { startStripeMock } from "../support/stripe/mock.ts";
import { startStripeSimProcess } from "../support/stripe/sim-process.ts";
import { openStripeSpec } from "../support/stripe/spec.ts";
import { objectIdOf, receiveWebhooks, type WebhookReceiver } from "../support/stripe/webhooks.ts";

// On a busy machine a process and a large schema take their time.
vi.setConfig({ testTimeout: 60_000 });

const webhookSecret = "whsec_contract";
const idleMs = 30_000;
const usd = { amount: 350, currency: "usd", payment_method_types: ["card"] };
const visa = "pm_card_visa";

const calls: StripeCall[] = [];
const told: Stripe.Event[] = [];
let receiver: WebhookReceiver;
let sim: StartedStripeSim;
let stripe: Stripe;
let browser: Stripe;

beforeAll(async () => {
  receiver = await receiveWebhooks(webhookSecret);
  sim = await startStripeSim({
    keys: ["sk_test_contract", "pk_test_contract", "sk_test_other"],
    webhook: { url: receiver.url, secrets: [webhookSecret] },
    settings: { retryFirstMs: 20, settleMs: 1 },
  });
  stripe = createStripe(sim.url, { calls });
  browser = createStripe(sim.url, { key: "pk_test_contract", calls });
});

afterEach(async () => {
  receiver.answerWith(200);
  sim.control.clearFaults();
  expect(await sim.control.idle(idleMs), "webhooks still wait").toBe(true);
  told.push(...receiver.events.splice(0));
  receiver.refused.length = 0;
});

afterAll(async () => {
  await sim.stop();
  await receiver.close();
});

/** The error that a call ends with. */
async function refusal(call: Promise<unknown>): Promise<Stripe.errors.StripeError> {
  const outcome = await call.then(
    () => new Error("it was not refused"),
    (error: unknown) => error,
  );
  if (outcome instanceof Stripe.errors.StripeError) return outcome;
  throw outcome;
}

function pay(method = visa, params: Partial<Stripe.PaymentIntentCreateParams> = {}) {
  return stripe.paymentIntents.create({ ...usd, payment_method: method, confirm: true, ...params });
}

function chargeOf(intent: Stripe.PaymentIntent): string {
  if (typeof intent.latest_charge !== "string") throw new Error("it has no charge");
  return intent.latest_charge;
}

async function typesAbout(intent: Stripe.PaymentIntent): Promise<string[]> {
  expect(await sim.control.idle(idleMs)).toBe(true);
  const isAbout = (event: Stripe.Event) => JSON.stringify(event.data.object).includes(intent.id);
  return receiver.events.filter(isAbout).map(({ type }) => type);
}

describe("payments", () => {
  test("go from creation to success, and every step is told", async () => {
    const metadata = { intent: "7", digest: "0xab" };
    const created = await stripe.paymentIntents.create({ ...usd, metadata, transfer_group: "g" });
    expect(created).toMatchObject({ status: "requires_payment_method", amount: 350, metadata });
    const updated = await stripe.paymentIntents.update(created.id, {
      payment_method: visa,
      metadata: { digest: "", extra: "1" },
    });
    expect(updated).toMatchObject({
      status: "requires_confirmation",
      metadata: { intent: "7", extra: "1" },
    });
    const paid = await stripe.paymentIntents.confirm(created.id);
    expect(paid).toMatchObject({ status: "succeeded", amount_received: 350 });
    expect(await stripe.paymentIntents.retrieve(created.id)).toEqual(paid);
    const charge = await stripe.charges.retrieve(chargeOf(paid), {
      expand: ["balance_transaction", "payment_intent"],
    });
    expect(charge).toMatchObject({ amount: 350, captured: true, payment_intent: { id: paid.id } });
    expect(new Set(await typesAbout(paid))).toEqual(
      new Set([
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "charge.updated",
      ]),
    );
    const succeeded = await receiver.waitFor("payment_intent.succeeded", paid.id);
    expect(succeeded).toMatchObject({
      api_version: "2026-10-28.endive",
      livemode: false,
      pending_webhooks: 1,
      data: { object: { id: paid.id, status: "succeeded" } },
    });
    expect(succeeded.request?.id).toMatch(/^req_/);
  });

  test("are booked with their fee a moment later, as automatic_async has it", async () => {
    const paid = await pay();
    expect((await stripe.charges.retrieve(chargeOf(paid))).object).toBe("charge");
    await receiver.waitFor("charge.updated", chargeOf(paid));
    const { latest_charge } = await stripe.paymentIntents.retrieve(paid.id, {
      expand: ["latest_charge.balance_transaction"],
    });
    expect(latest_charge).toMatchObject({
      balance_transaction: { amount: 350, fee: 40, net: 310, type: "charge" },
    });
    const list = await stripe.balanceTransactions.list({ source: chargeOf(paid), type: "charge" });
    expect(list.data).toHaveLength(1);
    expect(await stripe.balanceTransactions.retrieve(list.data[0]?.id ?? "")).toEqual(list.data[0]);
    expect((await stripe.balance.retrieve()).available[0]?.currency).toBe("usd");
  });

  test.each([
    ["pm_card_chargeDeclined", "card_declined", "generic_decline"],
    ["pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"],
    ["pm_card_chargeDeclinedLostCard", "card_declined", "lost_card"],
    ["pm_card_chargeDeclinedStolenCard", "card_declined", "stolen_card"],
    ["pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"],
    ["pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"],
    ["pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"],
  ])("%s is declined with %s, %s, and another card may pay", async (method, code, decline_code) => {
    const error = await refusal(pay(method));
    expect(error).toMatchObject({ type: "StripeCardError", statusCode: 402, code, decline_code });
    const { id = "" } = error.payment_intent ?? {};
    const failed = await stripe.paymentIntents.retrieve(id);
    expect(failed).toMatchObject({
      status: "requires_payment_method",
      payment_method: null,
      last_payment_error: { code, decline_code, charge: failed.latest_charge },
    });
    expect(await stripe.charges.retrieve(chargeOf(failed))).toMatchObject({
      status: "failed",
      paid: false,
      failure_code: code,
    });
    await receiver.waitFor("charge.failed", chargeOf(failed));
    await receiver.waitFor("payment_intent.payment_failed", id);
    const paid = await stripe.paymentIntents.confirm(id, { payment_method: "pm_card_mastercard" });
    expect(paid.status).toBe("succeeded");
    expect((await stripe.charges.list({ payment_intent: id })).data).toHaveLength(2);
  });

  test("are captured by hand, in part, and what is not captured can be let go", async () => {
    const held = await pay(visa, { capture_method: "manual" });
    expect(held).toMatchObject({ status: "requires_capture", amount_capturable: 350 });
    const event = await receiver.waitFor("payment_intent.amount_capturable_updated", held.id);
    expect(event.data.previous_attributes).toMatchObject({ amount_capturable: 0 });
    const tooMuch = stripe.paymentIntents.capture(held.id, { amount_to_capture: 351 });
    expect(await refusal(tooMuch)).toMatchObject({ code: "amount_too_large" });
    const captured = await stripe.paymentIntents.capture(held.id, { amount_to_capture: 200 });
    expect(captured).toMatchObject({ status: "succeeded", amount_received: 200 });
    await receiver.waitFor("charge.captured", chargeOf(captured));
    expect((await stripe.refunds.create({ payment_intent: held.id })).amount).toBe(200);

    const other = await pay(visa, { capture_method: "manual" });
    const released = await stripe.paymentIntents.cancel(other.id);
    expect(released).toMatchObject({ status: "canceled", amount_capturable: 0 });
    expect(await refusal(stripe.refunds.create({ payment_intent: other.id }))).toMatchObject({
      type: "StripeInvalidRequestError",
    });
  });

  test("are cancelled while they are open, and only then", async () => {
    const open = await stripe.paymentIntents.create(usd);
    const canceled = await stripe.paymentIntents.cancel(open.id, {
      cancellation_reason: "abandoned",
    });
    expect(canceled).toMatchObject({ status: "canceled", cancellation_reason: "abandoned" });
    await receiver.waitFor("payment_intent.canceled", open.id);
    const paid = await pay();
    for (const call of [
      stripe.paymentIntents.cancel(open.id),
      stripe.paymentIntents.confirm(open.id, { payment_method: visa }),
      stripe.paymentIntents.cancel(paid.id),
      stripe.paymentIntents.confirm(paid.id, { payment_method: visa }),
      stripe.paymentIntents.capture(paid.id),
      stripe.paymentIntents.update(paid.id, { amount: 400 }),
    ]) {
      expect(await refusal(call)).toMatchObject({
        statusCode: 400,
        code: "payment_intent_unexpected_state",
      });
    }
    const late = await stripe.paymentIntents.update(paid.id, { metadata: { note: "late" } });
    expect(late).toMatchObject({ status: "succeeded", metadata: { note: "late" } });
  });

  test("can take their time", async () => {
    sim.control.setFaults({ processing_ms: 30 });
    const waiting = await pay();
    expect(waiting.status).toBe("processing");
    const declined = await pay("pm_card_chargeDeclined");
    await receiver.waitFor("payment_intent.processing", waiting.id);
    await receiver.waitFor("payment_intent.succeeded", waiting.id);
    await receiver.waitFor("payment_intent.payment_failed", declined.id);
    expect((await stripe.paymentIntents.retrieve(waiting.id)).processing).toBeNull();
  });

  test("forget no return_url, and use a payment method once", async () => {
    const { payment_method_types: _, ...automatic } = usd;
    const params = { ...automatic, payment_method: visa, confirm: true };
    expect((await refusal(stripe.paymentIntents.create(params))).message).toContain("return_url");
    const never = { enabled: true, allow_redirects: "never" } as const;
    const paid = await stripe.paymentIntents.create({
      ...params,
      automatic_payment_methods: never,
    });
    expect(paid.status).toBe("succeeded");
    const { payment_method: used } = paid;
    expect(used).not.toBe(visa);
    expect((await refusal(pay(String(used)))).message).toContain("may not be used again");
    expect((await stripe.paymentMethods.retrieve(String(used))).card?.last4).toBe("4242");
  });

  test("are listed newest first, by pages and by time", async () => {
    const made: string[] = [];
    for (let count = 0; count < 4; count += 1) {
      made.unshift((await stripe.paymentIntents.create(usd)).id);
    }
    const first = await stripe.paymentIntents.list({ limit: 3 });
    expect(first).toMatchObject({ has_more: true, url: "/v1/payment_intents" });
    expect(first.data.map(({ id }) => id)).toEqual(made.slice(0, 3));
    const next = await stripe.paymentIntents.list({ limit: 1, starting_after: made[2] ?? "" });
    expect(next.data[0]?.id).toBe(made[3]);
    const back = await stripe.paymentIntents.list({ limit: 2, ending_before: made[2] ?? "" });
    expect(back.data.map(({ id }) => id)).toEqual(made.slice(0, 2));
    const now = first.data[0]?.created ?? 0;
    expect((await stripe.paymentIntents.list({ created: { gt: now + 60 } })).data).toEqual([]);
    expect((await stripe.paymentIntents.list({ created: { gte: now } })).data[0]?.id).toBe(made[0]);
    const all = await stripe.paymentIntents.list({ limit: 2 }).autoPagingToArray({ limit: 500 });
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    expect(all.length).toBeGreaterThanOrEqual(4);
  });
});

describe("the bank's authentication", () => {
  const returnUrl = "https://shop.example/done?order=7";

  async function begin(method: string) {
    const intent = await pay(method, { return_url: returnUrl });
    expect(intent.status).toBe("requires_action");
    await receiver.waitFor("payment_intent.requires_action", intent.id);
    return { intent, page: intent.next_action?.redirect_to_url?.url ?? "" };
  }

  function answer(page: string, outcome: string) {
    const body = new URLSearchParams({ outcome });
    return fetch(page, { method: "POST", body, redirect: "manual" });
  }

  test("is completed on the bank's page, which sends the shopper back", async () => {
    const { intent, page } = await begin("pm_card_authenticationRequired");
    const shown = await fetch(page);
    expect(await shown.text()).toContain("Complete authentication");
    const done = await answer(page, "complete");
    expect(done.status).toBe(303);
    const back = new URL(done.headers.get("location") ?? "");
    expect(Object.fromEntries(back.searchParams)).toEqual({
      order: "7",
      payment_intent: intent.id,
      payment_intent_client_secret: intent.client_secret,
      redirect_status: "succeeded",
    });
    expect((await stripe.paymentIntents.retrieve(intent.id)).status).toBe("succeeded");
    await receiver.waitFor("payment_intent.succeeded", intent.id);
    expect((await answer(page, "complete")).status).toBe(400);
  });

  test("fails on the bank's page, and another card may pay", async () => {
    const { intent, page } = await begin("pm_card_authenticationRequired");
    const back = new URL((await answer(page, "fail")).headers.get("location") ?? "");
    expect(back.searchParams.get("redirect_status")).toBe("failed");
    const failed = await stripe.paymentIntents.retrieve(intent.id);
    expect(failed).toMatchObject({
      status: "requires_payment_method",
      last_payment_error: { code: "payment_intent_authentication_failure" },
    });
    await receiver.waitFor("payment_intent.payment_failed", intent.id);
    const paid = await stripe.paymentIntents.confirm(intent.id, { payment_method: visa });
    expect(paid.status).toBe("succeeded");
  });

  test("can pass and the card be declined after it", async () => {
    const { intent } = await begin("pm_card_authenticationRequiredChargeDeclinedInsufficientFunds");
    expect(sim.control.authenticate(intent.id, true)).toMatchObject({
      status: "requires_payment_method",
      last_payment_error: { decline_code: "insufficient_funds" },
    });
  });

  test("is an error for a shopper who is not there", async () => {
    const params = [{ off_session: true }, { error_on_requires_action: true }];
    for (const where of params) {
      expect(await refusal(pay("pm_card_authenticationRequired", where))).toMatchObject({
        statusCode: 402,
        code: "authentication_required",
      });
    }
  });

  test("is for the holder of the client secret alone", async () => {
    const { intent, page } = await begin("pm_card_threeDSecure2Required");
    expect((await fetch(page.replace(/client_secret=[^&]+/, "client_secret=no"))).status).toBe(400);
    expect((await stripe.paymentIntents.cancel(intent.id)).status).toBe("canceled");
  });
});

describe("a browser", () => {
  const card = { number: "4242424242424242", exp_month: 12, exp_year: 2040, cvc: "123" };

  test("types a test card and pays with the client secret", async () => {
    const { id, client_secret: secret } = await stripe.paymentIntents.create(usd);
    const method = await browser.paymentMethods.create({ type: "card", card });
    expect(method.card).toMatchObject({ brand: "visa", last4: "4242" });
    expect(JSON.stringify(method)).not.toContain(card.number);
    // As Stripe.js sends it; the SDK's types know the server's parameters alone.
    const params = { client_secret: secret ?? "", payment_method: method.id };
    const paid = await browser.paymentIntents.confirm(id, params);
    expect(paid.status).toBe("succeeded");
    expect(paid).not.toHaveProperty("metadata");
    const seen = await browser.paymentIntents.retrieve(id, { client_secret: secret ?? "" });
    expect(seen.status).toBe("succeeded");
  });

  test.each([
    ["4000000000000002", "card_declined"],
    ["4000000000009995", "card_declined"],
    ["4000000000000069", "expired_card"],
  ])("types %s and is told %s at the payment", async (number, code) => {
    const { id, client_secret: secret } = await stripe.paymentIntents.create(usd);
    const params: object = {
      client_secret: secret ?? "",
      payment_method_data: { type: "card", card: { ...card, number } },
    };
    const error = await refusal(browser.paymentIntents.confirm(id, params));
    expect(error).toMatchObject({ code, payment_intent: { id } });
    expect(error.payment_intent).not.toHaveProperty("metadata");
  });

  test.each([
    [{ number: "4242424242424241" }, "incorrect_number"],
    [{ number: "4539578763621486" }, "card_declined"],
    [{ exp_month: 13 }, "invalid_expiry_month"],
    [{ exp_year: 2020 }, "invalid_expiry_year"],
    [{ cvc: "1" }, "invalid_cvc"],
  ])("is refused a card with %o: %s", async (wrong, code) => {
    const call = browser.paymentMethods.create({ type: "card", card: { ...card, ...wrong } });
    expect(await refusal(call)).toMatchObject({ type: "StripeCardError", statusCode: 402, code });
  });

  test("sees and does no more than it may", async () => {
    const { id } = await stripe.paymentIntents.create(usd);
    expect(await refusal(browser.paymentIntents.create(usd))).toMatchObject({ statusCode: 403 });
    expect(await refusal(browser.refunds.create({ payment_intent: id }))).toMatchObject({
      code: "secret_key_required",
    });
    expect(await refusal(browser.paymentIntents.retrieve(id))).toMatchObject({
      code: "parameter_missing",
    });
    const wrong = browser.paymentIntents.retrieve(id, { client_secret: `${id}_secret_no` });
    expect(await refusal(wrong)).toMatchObject({ statusCode: 400, param: "client_secret" });
    const typed = stripe.paymentMethods.create({ type: "card", card });
    expect((await refusal(typed)).message).toContain("unsafe");
    const token = await stripe.paymentMethods.create({ type: "card", card: { token: "tok_visa" } });
    expect(token.card?.last4).toBe("4242");
  });

  test("of another origin is let in where Stripe.js calls, and nowhere else", async () => {
    const allowed = async (path: string) => {
      const answer = await fetch(`${sim.url}${path}`, { method: "OPTIONS" });
      return answer.headers.get("access-control-allow-origin");
    };
    expect(await allowed("/v1/payment_methods")).toBe("*");
    expect(await allowed("/v1/payment_intents/pi_x/confirm")).toBe("*");
    for (const path of ["/v1/payment_intents", "/v1/refunds", "/_sim/state"]) {
      expect(await allowed(path)).toBeNull();
    }
    const headers = { origin: "https://evil.example", "content-type": "application/json" };
    const command = await fetch(`${sim.url}/_sim/faults`, { method: "DELETE", headers });
    expect(command.status).toBe(403);
  });

  test("that has its own name lead here is told nothing", async () => {
    const told = (host: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const call = request(`${sim.url}/_sim/state`, { headers: { host } }, (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        });
        call.on("error", reject).end();
      });
    for (const host of ["evil.example", "evil.example:5400", "127.0.0.1.evil.example", "0.0.0.0"])
      expect(await told(host), host).toBe(403);
    for (const host of ["127.0.0.1", "localhost:5400", "[::1]:5400"])
      expect(await told(host), host).toBe(200);
  });
});

describe("refunds", () => {
  test("never give back more than was paid, also at the same time", async () => {
    const paid = await pay();
    const part = await stripe.refunds.create({
      payment_intent: paid.id,
      amount: 100,
      reason: "requested_by_customer",
      metadata: { refund: "1" },
    });
    expect(part).toMatchObject({ status: "succeeded", amount: 100, charge: chargeOf(paid) });
    const event = await receiver.waitFor("charge.refunded", chargeOf(paid));
    expect(event.data).toMatchObject({
      object: { amount_refunded: 100, refunded: false },
      previous_attributes: { amount_refunded: 0 },
    });
    await receiver.waitFor("refund.created", part.id);
    const tooMuch = await refusal(stripe.refunds.create({ charge: chargeOf(paid), amount: 251 }));
    expect(tooMuch).toMatchObject({ statusCode: 400, param: "amount" });
    const race = await Promise.allSettled(
      Array.from({ length: 4 }, () =>
        stripe.refunds.create({ charge: chargeOf(paid), amount: 125 }),
      ),
    );
    expect(race.filter(({ status }) => status === "fulfilled")).toHaveLength(2);
    expect(await refusal(stripe.refunds.create({ payment_intent: paid.id }))).toMatchObject({
      code: "charge_already_refunded",
    });
    const list = await stripe.refunds.list({ payment_intent: paid.id });
    expect(list.data.map(({ amount }) => amount)).toEqual([125, 125, 100]);
    expect((await stripe.refunds.list({ charge: chargeOf(paid) })).data).toEqual(list.data);
    expect(await stripe.charges.retrieve(chargeOf(paid))).toMatchObject({ refunded: true });
  });

  test("can begin pending and succeed, and their metadata can change", async () => {
    sim.control.setFaults({ refunds: "pending" });
    const paid = await pay("pm_card_pendingRefund");
    const refund = await stripe.refunds.create({ payment_intent: paid.id });
    expect(refund).toMatchObject({ status: "pending", pending_reason: "processing" });
    const event = await receiver.waitFor("refund.updated", refund.id);
    expect(event.data.previous_attributes).toMatchObject({ status: "pending" });
    await receiver.waitFor("charge.refund.updated", refund.id);
    const changed = await stripe.refunds.update(refund.id, { metadata: { a: "b" } });
    expect(changed).toMatchObject({ status: "succeeded", metadata: { a: "b" } });
    expect(await stripe.refunds.retrieve(refund.id)).toEqual(changed);
    expect((await refusal(stripe.refunds.cancel(refund.id))).message).toContain("requires_action");
  });

  test.each([
    ["after they succeeded", "card" as const, "pm_card_refundFail", "succeeded"],
    ["after they were pending", "pending_then_fail" as const, visa, "pending"],
  ])("can fail %s, and the money comes back", async (_, refunds, method, first) => {
    sim.control.setFaults({ refunds });
    const paid = await pay(method);
    const refund = await stripe.refunds.create({ payment_intent: paid.id, amount: 150 });
    expect(refund.status).toBe(first);
    const event = await receiver.waitFor("refund.failed", refund.id);
    expect(event.data.object).toMatchObject({
      status: "failed",
      failure_reason: expect.any(String),
    });
    const failed = await stripe.refunds.retrieve(refund.id, {
      expand: ["failure_balance_transaction"],
    });
    expect(failed.failure_balance_transaction).toMatchObject({
      type: "refund_failure",
      amount: 150,
    });
    expect(await stripe.charges.retrieve(chargeOf(paid))).toMatchObject({ amount_refunded: 0 });
    sim.control.setFaults({ refunds: "card" });
    expect((await stripe.refunds.create({ payment_intent: paid.id })).amount).toBe(350);
  });

  test("fail on command, once", async () => {
    const refund = await stripe.refunds.create({ payment_intent: (await pay()).id });
    expect(sim.control.failRefund(refund.id).status).toBe("failed");
    sim.control.failRefund(refund.id);
    const failures = await stripe.balanceTransactions.list({ source: refund.id });
    expect(failures.data.map(({ type }) => type)).toEqual(["refund_failure", "refund"]);
  });
});

describe("an idempotency key", () => {
  test("repeats an answer, also a refusal of the bank", async () => {
    const idempotencyKey = "key-1";
    const first = await stripe.paymentIntents.create(usd, { idempotencyKey });
    const again = await stripe.paymentIntents.create(usd, { idempotencyKey });
    expect(again).toEqual(first);
    const [original, repeated] = calls.slice(-2).map(({ answerHeaders }) => answerHeaders);
    expect(Object.fromEntries(repeated ?? [])).toMatchObject({
      "idempotent-replayed": "true",
      "idempotency-key": idempotencyKey,
      "original-request": original?.get("request-id"),
      "sovr-stripe-simulator": "true",
      "stripe-version": "2026-10-28.endive",
    });
    expect(original?.has("idempotent-replayed")).toBe(false);
    const method = "pm_card_chargeDeclined";
    const params = { ...usd, payment_method: method, confirm: true };
    const decline = () => stripe.paymentIntents.create(params, { idempotencyKey: "key-2" });
    const [one, two] = [await refusal(decline()), await refusal(decline())];
    expect(two.payment_intent?.id).toBe(one.payment_intent?.id);
    const created = await stripe.events.list({ type: "payment_intent.created", limit: 2 });
    expect(created.data.map(objectIdOf)).toEqual([one.payment_intent?.id, first.id]);
    expect(created.data[1]?.request?.idempotency_key).toBe(idempotencyKey);
  });

  test("belongs to its parameters, its path and its API key", async () => {
    const idempotencyKey = "key-3";
    const first = await stripe.paymentIntents.create(usd, { idempotencyKey });
    const others = [
      stripe.paymentIntents.create({ ...usd, amount: 351 }, { idempotencyKey }),
      stripe.paymentIntents.cancel(first.id, {}, { idempotencyKey }),
    ];
    for (const call of others) {
      expect(await refusal(call)).toMatchObject({
        type: "StripeIdempotencyError",
        statusCode: 400,
      });
    }
    const stranger = createStripe(sim.url, { key: "sk_test_other", calls });
    const own = await stranger.paymentIntents.create(usd, { idempotencyKey });
    expect(own.id).not.toBe(first.id);
  });

  test("is one request's at a time", async () => {
    // The first is not answered before its event is.
    sim.control.setFaults({ early: true, latency_ms: 20 });
    const release = receiver.hold();
    const create = () => stripe.paymentIntents.create(usd, { idempotencyKey: "key-4" });
    const beganMs = performance.now();
    const first = create();
    await receiver.waitFor("payment_intent.created");
    expect(await refusal(create())).toMatchObject({
      statusCode: 409,
      code: "idempotency_key_in_use",
    });
    release();
    const { id } = await first;
    expect(performance.now() - beganMs).toBeGreaterThan(19);
    expect((await create()).id).toBe(id);
  });

  test("keeps neither what never began nor what broke", async () => {
    const options = { idempotencyKey: "key-5" };
    const bad = { ...usd, amount: "x" } as unknown as typeof usd;
    expect(await refusal(stripe.paymentIntents.create(bad, options))).toMatchObject({
      code: "parameter_invalid_integer",
    });
    sim.control.failCalls({ kind: "error_500", method: "POST" });
    expect(await refusal(stripe.paymentIntents.create(usd, options))).toMatchObject({
      type: "StripeAPIError",
      statusCode: 500,
    });
    const made = await stripe.paymentIntents.create(usd, options);
    sim.control.failCalls({ kind: "cut_after" });
    const cut = stripe.refunds.create({ payment_intent: made.id }, { idempotencyKey: "key-6" });
    expect((await refusal(cut)).type).toBe("StripeConnectionError");
  });

  test("finds the effect of a call whose answer was cut off, and none of one that was cut before", async () => {
    const options = { idempotencyKey: "key-7" };
    const count = async () => sim.control.state().objects["payment_intent"] ?? 0;
    const before = await count();
    sim.control.failCalls({ kind: "cut_before", path: "/v1/payment_intents" });
    expect((await refusal(stripe.paymentIntents.create(usd, options))).type).toBe(
      "StripeConnectionError",
    );
    expect(await count()).toBe(before);
    sim.control.failCalls({ kind: "cut_after", path: "/v1/payment_intents" });
    expect((await refusal(stripe.paymentIntents.create(usd, options))).type).toBe(
      "StripeConnectionError",
    );
    expect(await count()).toBe(before + 1);
    await stripe.paymentIntents.create(usd, options);
    expect(calls.at(-1)?.answerHeaders.get("idempotent-replayed")).toBe("true");
    expect(await count()).toBe(before + 1);
  });
});

describe("webhooks", () => {
  test("are sent until they are taken", async () => {
    receiver.answerWith(500);
    const intent = await stripe.paymentIntents.create(usd);
    const refused = await receiver.waitFor("payment_intent.created", intent.id);
    expect((await stripe.events.retrieve(refused.id)).pending_webhooks).toBe(1);
    const waiting = await stripe.events.list({ delivery_success: false });
    expect(waiting.data.map(({ id }) => id)).toEqual([refused.id]);
    receiver.events.length = 0;
    receiver.answerWith(200);
    expect((await receiver.waitFor("payment_intent.created", intent.id)).id).toBe(refused.id);
    expect(await sim.control.idle(idleMs)).toBe(true);
    expect((await stripe.events.retrieve(refused.id)).pending_webhooks).toBe(0);
    expect((await stripe.events.list({ delivery_success: false })).data).toEqual([]);
  });

  test("are doubled, shuffled and lost on command", async () => {
    sim.control.setFaults({ duplicates: 2 });
    const intent = await stripe.paymentIntents.create(usd);
    expect(await typesAbout(intent)).toHaveLength(3);
    // The dice of this seed let the first event wait 370 ms longer than the second.
    sim.control.seed(43);
    sim.control.setFaults({ duplicates: 0, shuffle_ms: 400 });
    const order = await typesAbout(await pay());
    expect(order).toHaveLength(4);
    expect(order.indexOf("payment_intent.created")).toBeGreaterThan(
      order.indexOf("charge.succeeded"),
    );
    sim.control.setFaults({ shuffle_ms: 0, drop_rate: 1 });
    const lost = await stripe.paymentIntents.create(usd);
    expect(await typesAbout(lost)).toEqual([]);
    const { data } = await stripe.events.list({ limit: 1 });
    expect(data.map(objectIdOf)).toEqual([lost.id]);
    sim.control.resend(data[0]?.id ?? "");
    await receiver.waitFor("payment_intent.created", lost.id);
  });

  test("come before the API's own answer on command", async () => {
    sim.control.setFaults({ early: true });
    const intent = await pay();
    expect(receiver.events.map(({ type }) => type)).toContain("payment_intent.succeeded");
    expect(receiver.events.filter((event) => objectIdOf(event) === intent.id)).toHaveLength(2);
  });

  test("are held while paused", async () => {
    sim.control.setFaults({ paused: true });
    await stripe.paymentIntents.create(usd);
    expect(await sim.control.idle(50)).toBe(false);
    expect(receiver.events).toEqual([]);
  });

  test("are forged on command, and refused by the SDK", async () => {
    const before = sim.control.state().webhooks;
    const intent = await stripe.paymentIntents.create(usd);
    sim.control.forge(intent.id);
    sim.control.forge(intent.id, "old_timestamp");
    sim.control.setFaults({ forge_rate: 1 });
    await stripe.paymentIntents.create(usd);
    expect(await sim.control.idle(idleMs)).toBe(true);
    expect(receiver.refused).toHaveLength(3);
    const lie = receiver.refused.find((body) => body.includes("payment_intent.succeeded"));
    expect(lie).toContain(intent.id);
    const { forged, forgedAccepted } = sim.control.state().webhooks;
    expect({ forged, forgedAccepted }).toEqual({ forged: before.forged + 3, forgedAccepted: 0 });
  });

  test("go to endpoints made by the API, with a secret of their own and what they asked for", async () => {
    const { events, url } = receiver;
    const endpoint = await stripe.webhookEndpoints.create({
      url,
      enabled_events: ["payment_intent.canceled"],
    });
    const other = await receiveWebhooks(endpoint.secret ?? "");
    const second = await stripe.webhookEndpoints.create({ url: other.url, enabled_events: ["*"] });
    expect(await stripe.webhookEndpoints.retrieve(second.id)).not.toHaveProperty("secret");
    expect((await stripe.webhookEndpoints.list()).data).toHaveLength(3);
    const { id } = await stripe.paymentIntents.create(usd);
    expect((await receiver.waitFor("payment_intent.created", id)).pending_webhooks).toBe(2);
    await stripe.webhookEndpoints.del(second.id);
    await stripe.paymentIntents.cancel(id);
    await receiver.waitFor("payment_intent.canceled", id);
    // Signed by the first endpoint's secret, the same event is refused here.
    await expect.poll(() => receiver.refused.length).toBeGreaterThan(0);
    expect(events.length).toBeGreaterThan(0);
    expect(await stripe.webhookEndpoints.del(endpoint.id)).toMatchObject({ deleted: true });
    await other.close();
  });
});

describe("what means nothing is refused as Stripe refuses it", () => {
  const strange = (params: object) => params as Stripe.PaymentIntentCreateParams;
  test.each([
    ["no amount", { currency: "usd" }, "parameter_missing", "amount"],
    ["an amount of letters", { ...usd, amount: "abc" }, "parameter_invalid_integer", "amount"],
    ["a broken amount", { ...usd, amount: 1.5 }, "parameter_invalid_integer", "amount"],
    ["no positive amount", { ...usd, amount: 0 }, "parameter_invalid_integer", "amount"],
    ["too little", { ...usd, amount: 49 }, "amount_too_small", "amount"],
    ["too much", { ...usd, amount: 100_000_000 }, "amount_too_large", "amount"],
    ["no money", { ...usd, currency: "xyz" }, undefined, "currency"],
    ["an empty currency", { ...usd, currency: "" }, "parameter_invalid_empty", "currency"],
    ["a misspelt parameter", { ...usd, amout: 1 }, "parameter_unknown", "amout"],
    ["a wrong word", { ...usd, capture_method: "later" }, undefined, "capture_method"],
    ["no page", { ...usd, confirm: true, return_url: "x" }, "url_invalid", "return_url"],
    ["nobody's card", { ...usd, payment_method: "pm_no" }, "resource_missing", "payment_method"],
    ["a customer", { ...usd, customer: "cus_1" }, "resource_missing", "customer"],
    ["no card to confirm", { ...usd, confirm: true }, "payment_intent_unexpected_state", undefined],
  ])("%s", async (_, params, code, param) => {
    const error = await refusal(stripe.paymentIntents.create(strange(params)));
    expect(error).toMatchObject({ type: "StripeInvalidRequestError", statusCode: 400 });
    expect([error.code, error.param]).toEqual([code, param]);
  });

  test("what is not there, or asked for strangely", async () => {
    for (const call of [
      stripe.paymentIntents.retrieve("pi_none"),
      stripe.charges.retrieve("ch_none"),
      stripe.refunds.retrieve("re_none"),
      stripe.events.retrieve("evt_none"),
      stripe.balanceTransactions.retrieve("txn_none"),
      stripe.refunds.create({ payment_intent: "pi_none" }),
    ]) {
      expect(await refusal(call)).toMatchObject({ statusCode: 404, code: "resource_missing" });
    }
    expect(await refusal(stripe.paymentIntents.list({ limit: 101 }))).toMatchObject({
      code: "parameter_invalid_integer",
    });
    expect(await refusal(stripe.paymentIntents.list({ customer: "cus_1" }))).toMatchObject({
      code: "resource_missing",
    });
    const { id } = await stripe.paymentIntents.create(usd);
    const expanded = stripe.paymentIntents.retrieve(id, { expand: ["metadata"] });
    expect((await refusal(expanded)).message).toContain("cannot be expanded");
    expect(await refusal(stripe.customers.list())).toMatchObject({ statusCode: 404 });
  });

  test("keys that are not for tests", async () => {
    const live = createStripe(sim.url, { key: ["sk", "live", "x"].join("_") });
    const error = await refusal(live.paymentIntents.create(usd));
    expect(error).toMatchObject({ type: "StripeAuthenticationError", statusCode: 401 });
    expect(error.message).toContain("simulator");
    const strangers = [
      "sk_test_contrac",
      "sk_test_contractx",
      "rk_test_contract",
      "sk_test_simulator_0",
    ];
    for (const authorization of [
      "",
      "Bearer nonsense",
      "Basic c2tfbGl2ZV94Og==",
      ...strangers.map((key) => `Bearer ${key}`),
    ]) {
      const answer = await fetch(`${sim.url}/v1/balance`, { headers: { authorization } });
      expect(answer.status).toBe(401);
    }
    const basic = { authorization: `Basic ${Buffer.from("sk_test_other:").toString("base64")}` };
    expect((await fetch(`${sim.url}/v1/balance`, { headers: basic })).status).toBe(200);
  });

  test("a secret key that comes through a proxy", async () => {
    const { id, client_secret: clientSecret } = await stripe.paymentIntents.create(usd);
    const path = `${sim.url}/v1/payment_intents/${id}?client_secret=${clientSecret}`;
    const statusFor = async (key: string) => {
      const headers = { authorization: `Bearer ${key}`, "x-forwarded-prefix": "/stripe-sim" };
      return (await fetch(path, { headers })).status;
    };
    expect(await statusFor("pk_test_contract")).toBe(200);
    expect(await statusFor("sk_test_contract")).toBe(401);
  });

  test("bodies without end", async () => {
    const headers = { authorization: "Bearer sk_test_other" };
    const body = `description=${"x".repeat(70_000)}`;
    const answer = await fetch(`${sim.url}/v1/payment_intents`, { method: "POST", headers, body });
    expect(answer.status).toBe(413);
  });
});

test("commands come by HTTP as well", async () => {
  const command = async (method: string, path: string, body?: object) => {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    const answer = await fetch(`${sim.url}/_sim/${path}`, init);
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };
  const settings = { duplicates: 1, delay_rate: 0.5, early: true, refunds: "fail" };
  expect((await command("PATCH", "faults", settings)).body["faults"]).toMatchObject(settings);
  expect((await command("PATCH", "faults", { duplicates: 99 })).status).toBe(400);
  expect((await command("PATCH", "faults", { nonsense: 1 })).status).toBe(400);
  const fault = { kind: "error_500", times: 2, path: "/v1/refunds" };
  expect((await command("POST", "fail-calls", fault)).body["apiFaults"]).toMatchObject([fault]);
  expect((await command("DELETE", "faults")).body).toMatchObject({
    faults: { duplicates: 0 },
    apiFaults: [],
  });
  const paid = await pay("pm_card_authenticationRequired", { return_url: "https://shop.example/" });
  const bank = { payment_intent: paid.id, passed: true };
  expect((await command("POST", "authenticate", bank)).body["status"]).toBe("succeeded");
  const refund = await stripe.refunds.create({ payment_intent: paid.id });
  const failed = await command("POST", "fail-refund", { refund: refund.id });
  expect(failed.body["status"]).toBe("failed");
  expect((await command("POST", "forge", { object: paid.id })).status).toBe(200);
  expect((await command("POST", "idle", { timeout_ms: idleMs })).body).toEqual({ idle: true });
  expect((await command("GET", "state")).body["waiting"]).toBe(0);
  expect((await command("POST", "nonsense", {})).status).toBe(404);
});

test("kill -9 loses nothing that was answered, and what was not delivered is delivered after it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "stripe-sim-"));
  const other = await receiveWebhooks(webhookSecret);
  other.answerWith(500);
  const simulator = await startStripeSimProcess({
    STRIPE_SIM_PATH: join(folder, "stripe.sqlite"),
    STRIPE_SECRET_KEY: "sk_test_contract",
    STRIPE_PUBLISHABLE_KEY: "pk_test_contract",
    STRIPE_SIM_WEBHOOK_URL: other.url,
    STRIPE_WEBHOOK_SECRET: webhookSecret,
    // Every second for as long as it takes: a pause that doubled would outlast the waiting below.
    STRIPE_SIM_RETRY_MAX_MS: "1000",
    STRIPE_SIM_ATTEMPTS_MAX: "1000",
    LOG_LEVEL: "trace",
  });
  try {
    const client = createStripe(simulator.url);
    const create = () => client.paymentIntents.create(usd, { idempotencyKey: "kept" });
    const intent = await create();
    await other.waitFor("payment_intent.created", intent.id);
    const answered: string[] = [];
    const payments = Array.from({ length: 60 }, async (_, index) => {
      const params = { ...usd, payment_method: visa, confirm: true };
      const key = { idempotencyKey: `load-${index}` };
      answered.push((await client.paymentIntents.create(params, key)).id);
    });
    const often = { interval: 1, timeout: 30_000 };
    await expect.poll(() => answered.length, often).toBeGreaterThan(5);
    expect(await simulator.end()).toBeNull();
    await Promise.allSettled(payments);
    other.events.length = 0;
    other.answerWith(200);
    await simulator.restart();
    expect(await client.paymentIntents.retrieve(intent.id)).toEqual(intent);
    const kept = await client.paymentIntents.list().autoPagingToArray({ limit: 100 });
    const paid = kept.filter(({ status }) => status === "succeeded").map(({ id }) => id);
    expect(answered.filter((id) => !paid.includes(id))).toEqual([]);
    // Paid without an answer, or not at all: the same key says which, and pays once.
    for (let index = 0; index < 60; index += 1) {
      const params = { ...usd, payment_method: visa, confirm: true };
      await client.paymentIntents.create(params, { idempotencyKey: `load-${index}` });
    }
    const { data } = await client.charges.list({ limit: 100 });
    expect(data).toHaveLength(60);
    for (const { id } of data) await other.waitFor("charge.updated", id);
    const again = await create();
    expect(again.id).toBe(intent.id);
    expect(again.lastResponse.headers["idempotent-replayed"]).toBe("true");
    await other.waitFor("payment_intent.created", intent.id);
    expect(await simulator.end("SIGTERM")).toBe(0);
    const output = simulator.output();
    expect(output).toContain("SIMULATOR");
    expect(output).toContain("/v1/payment_intents");
    for (const secret of [webhookSecret, "sk_test_contract", intent.client_secret ?? "?"]) {
      expect(output).not.toContain(secret);
    }
  } finally {
    await simulator.end();
    await other.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

const spec = await openStripeSpec();
const noSpec = typeof spec === "string" ? ` (skipped: ${spec})` : "";

describe.skipIf(typeof spec === "string")(`Stripe's OpenAPI document${noSpec}`, () => {
  test("describes every answer that was given above", () => {
    expect(calls.length).toBeGreaterThan(100);
    const wrong = calls
      .filter(({ path }) => path !== "/v1/customers")
      .flatMap(({ method, path, status, answer }) =>
        typeof spec === "string" ? [] : spec.checkAnswer(method, path, status, answer),
      );
    expect([...new Set(wrong)]).toEqual([]);
  });

  test("describes every event, and what each is about", () => {
    const wrong = told.flatMap((event) => {
      const about = event.data.object as unknown as { readonly object: string };
      return typeof spec === "string"
        ? []
        : [...spec.checkObject(event), ...spec.checkObject(about)];
    });
    expect([...new Set(wrong)]).toEqual([]);
    expect([...new Set(told.map(({ type }) => type))].sort()).toEqual(eventTypes);
  });

  test("would say so if they were wrong", () => {
    if (typeof spec === "string") return;
    expect(spec.checkAnswer("GET", "/v1/charges/ch_1", 200, { object: "charge" })).not.toEqual([]);
    expect(spec.checkObject({ object: "refund" })).not.toEqual([]);
  });
});

const eventTypes = [
  "charge.captured",
  "charge.failed",
  "charge.refund.updated",
  "charge.refunded",
  "charge.succeeded",
  "charge.updated",
  "payment_intent.amount_capturable_updated",
  "payment_intent.canceled",
  "payment_intent.created",
  "payment_intent.payment_failed",
  "payment_intent.processing",
  "payment_intent.requires_action",
  "payment_intent.succeeded",
  "refund.created",
  "refund.failed",
  "refund.updated",
];

const mockProgram = findProgram("stripe-mock");
const noMock = mockProgram === undefined ? " (skipped: there is no stripe-mock on PATH)" : "";

describe.skipIf(mockProgram === undefined)(`stripe-mock${noMock}`, () => {
  test("accepts every call that the simulator accepted, and refuses what means nothing", async () => {
    const mock = await startStripeMock(mockProgram ?? "");
    try {
      // That a card comes with the confirmation is between Stripe and Stripe.js; the document has it not.
      const accepted = calls.filter(
        ({ status, body }) =>
          (status === 200 || status === 402) && !body.includes("payment_method_data"),
      );
      // It has no other secret than a secret key.
      const authorization = "Bearer sk_test_mock";
      const send = async ({ method, path, query, headers: sent, body }: StripeCall) => {
        const headers = { ...sent, authorization };
        const init = method === "POST" ? { method, headers, body } : { method, headers };
        const answer = await fetch(`${mock.url}${path}${query}`, init);
        const text = await answer.text();
        return answer.status === 200 ? "" : `${method} ${path}${query} ${body}: ${text}`;
      };
      const refused: string[] = [];
      for (const call of accepted) refused.push(await send(call));
      expect(refused.filter((reason) => reason !== "")).toEqual([]);
      expect(accepted.length).toBeGreaterThan(100);
      const codes = ["parameter_unknown", "parameter_missing"];
      const meaningless = calls.filter(({ answer }) => codes.includes(codeOf(answer)));
      for (const call of meaningless.filter(({ path }) => path === "/v1/payment_intents")) {
        expect(await send(call)).not.toBe("");
      }
      expect(meaningless.length).toBeGreaterThan(1);
    } finally {
      await mock.stop();
    }
  });
});

function codeOf(answer: unknown): string {
  const { error } = answer as { readonly error?: { readonly code?: string } };
  return error?.code ?? "";
}
