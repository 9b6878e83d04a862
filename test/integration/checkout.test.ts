// Goal: a checkout moves the ledger once or never, by card and by balance, whatever is repeated, late or wrong.
// Method: the real service over gRPC with its real peers, PostgreSQL and the embedded ledger; Stripe is the simulator,
// spoken to by the official SDK, and its webhooks come back to the service's own port.

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { ConnectError } from "@connectrpc/connect";
import { Stripe } from "stripe";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { zeroWallet } from "#common/address.ts";
import { formatIntent, parseIntent } from "#common/intent/codec.ts";
import { signDigest } from "#common/intent/signature.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import {
  type Checkout,
  CheckoutState,
  EntryState,
  ItemState,
  PaymentMethod,
} from "#gen/sovr/checkout/v1/checkout_pb.ts";
import type { CreateCheckoutResponse } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { ErrorReason } from "#gen/sovr/common/v1/error_reason_pb.ts";
import {
  type CheckoutClient,
  type CheckoutServiceWorld,
  startCheckoutServiceWorld,
} from "../support/checkout/service-world.ts";
import {
  clearAll,
  clearOne,
  newKey,
  operator,
  soon,
  type TestKey,
} from "../support/clearing/world.ts";
import { engines } from "../support/ledger/tigerbeetle.ts";

const bundle = [{ sku: "BUNDLE", quantity: 1 }];
const milk = [{ sku: "MILK", quantity: 1 }];

let world: CheckoutServiceWorld;

beforeAll(async () => {
  const [embedded] = engines;
  if (embedded === undefined) throw new Error("there is no embedded engine");
  world = await startCheckoutServiceWorld(embedded);
});

afterAll(async () => {
  await world?.close();
});

/** A shopper with a wallet of their own. */
function shopper(): { readonly key: TestKey; readonly client: CheckoutClient } {
  const key = newKey();
  return { key, client: world.client("checkout.buy", key.address) };
}

/** A shopper whose wallet holds an amount, in cents. */
async function richShopper(amount: bigint) {
  const someone = shopper();
  const replica = await world.ledger.openReplica();
  await replica.clearing.openWallet(someone.key.address, 1, operator, soon());
  await clearOne(replica, world.ledger.funding(someone.key.address, amount));
  await world.ledger.closeReplica(replica);
  return someone;
}

/** The checkout once it is in a state; fails if it never is. */
async function reached(
  client: CheckoutClient,
  intentId: string,
  state: CheckoutState,
): Promise<Checkout> {
  const key = { case: "intentId" as const, value: intentId };
  for await (const { checkout } of client.watchCheckout({ key }, { timeoutMs: 60_000 })) {
    if (checkout?.state === state) return checkout;
  }
  throw new Error(`the checkout never was ${nameOf(state)}`);
}

/** What a call is refused with: the reason and its metadata. */
async function refusal(call: Promise<unknown>): Promise<{ reason: string; metadata: object }> {
  try {
    await call;
  } catch (error) {
    const [info] = ConnectError.from(error).findDetails(ErrorInfoSchema);
    if (info === undefined) throw error;
    return { reason: info.reason, metadata: info.metadata };
  }
  throw new Error("it was not refused");
}

function signed(created: CreateCheckoutResponse, key: TestKey): string {
  if (created.intent === undefined) throw new Error("no intent came");
  return signDigest(world.ledger.digest(parseIntent(created.intent)), key.privateKey);
}

function states({ transitions }: Checkout): string[] {
  return transitions.map(({ toState }) => nameOf(toState));
}

function nameOf(state: CheckoutState): string {
  return Object.entries(CheckoutState).find(([, value]) => value === state)?.[0] ?? "";
}

function stripeApi(): Stripe {
  return new Stripe("sk_test_dashboard", {
    host: "127.0.0.1",
    port: world.stripe.port,
    protocol: "http",
    maxNetworkRetries: 0,
    telemetry: false,
  });
}

describe("a card", () => {
  test("pays for the bundle, and funding and purchase clear in one chain", async () => {
    const before = await world.books();
    const { key, client } = shopper();
    const order = world.order(key.address, PaymentMethod.CARD, bundle);
    const created = await client.createCheckout(order);
    expect(created.checkout?.state).toBe(CheckoutState.AWAITING_PAYMENT);
    expect(created.checkout?.amount).toBe("750");
    expect(created.intent?.postings.map(({ amount }) => amount)).toEqual([
      "750",
      "350",
      "250",
      "150",
    ]);
    expect(created.attestation).toBeUndefined();
    expect(await world.books()).toEqual(before);

    expect(await world.pay(created.clientSecret)).toBe("succeeded");
    const cleared = await reached(client, order.intentId, CheckoutState.CLEARED);
    expect(states(cleared)).toEqual(["CREATED", "AWAITING_PAYMENT", "PAID", "CLEARED"]);
    expect(cleared.clearedIntentId).toBe(order.intentId);
    expect(cleared.purchases).toMatchObject([{ state: EntryState.CLEARED }]);
    expect(await world.books()).toEqual({
      ...before,
      stripe: before.stripe + 750n,
      milk: before.milk + 350n,
      eggs: before.eggs + 250n,
      bread: before.bread + 150n,
    });

    const again = await client.createCheckout(order);
    expect(again.checkout).toEqual(cleared);
    expect(again.clientSecret).toBe("");
    expect(again.attestation?.digest).toBe(cleared.purchases[0]?.digest);
  });

  test("that is declined leaves the order open for another", async () => {
    const { key, client } = shopper();
    const order = world.order(key.address, PaymentMethod.CARD, milk);
    const { clientSecret } = await client.createCheckout(order);
    expect(await world.pay(clientSecret, "pm_card_chargeDeclinedInsufficientFunds")).toBe(
      "card_declined",
    );
    const declined = await client.createCheckout(order);
    expect(declined.checkout).toMatchObject({
      state: CheckoutState.AWAITING_PAYMENT,
      failureReason: ErrorReason.PAYMENT_DECLINED,
      declineCode: "insufficient_funds",
    });
    expect(await world.pay(declined.clientSecret)).toBe("succeeded");
    const cleared = await reached(client, order.intentId, CheckoutState.CLEARED);
    expect(cleared.failureReason).toBe(ErrorReason.UNSPECIFIED);
  });

  test("that must be authenticated clears when it is", async () => {
    const { key, client } = shopper();
    const order = world.order(key.address, PaymentMethod.CARD, milk);
    const created = await client.createCheckout(order);
    expect(await world.pay(created.clientSecret, "pm_card_authenticationRequired")).toBe(
      "requires_action",
    );
    const asked = await client.createCheckout(order);
    expect(asked.checkout?.failureReason).toBe(ErrorReason.PAYMENT_ACTION_REQUIRED);
    world.stripe.control.authenticate(created.paymentIntentId, true);
    await reached(client, order.intentId, CheckoutState.CLEARED);
  });

  test("is asked for once, however many ask", async () => {
    const { key, client } = shopper();
    const order = world.order(key.address, PaymentMethod.CARD, milk);
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => client.createCheckout(order)),
    );
    const payments = new Set(answers.map(({ paymentIntentId }) => paymentIntentId));
    expect(payments.size).toBe(1);
    const { has_more, data } = await stripeApi().paymentIntents.list({ limit: 100 });
    expect(has_more).toBe(false);
    const mine = data.filter(({ metadata }) => metadata["intent_id"] === order.intentId);
    expect(mine).toHaveLength(1);
  });

  test("waits for Stripe when Stripe is away, and is asked for once all the same", async () => {
    const { key, client } = shopper();
    const order = world.order(key.address, PaymentMethod.CARD, milk);
    // More often than the client repeats the call by itself.
    world.stripe.control.failCalls({ kind: "cut_after", path: "/v1/payment_intents", times: 8 });
    const failed = await client.createCheckout(order).catch((error: unknown) => error);
    const error = ConnectError.from(failed);
    expect(error.findDetails(ErrorInfoSchema)[0]?.reason).toBe("PAYMENTS_UNAVAILABLE");
    expect(error.findDetails(RetryInfoSchema)).toHaveLength(1);
    world.stripe.control.clearFaults();
    const created = await client.createCheckout(order);
    expect(await world.pay(created.clientSecret)).toBe("succeeded");
    await reached(client, order.intentId, CheckoutState.CLEARED);
    const { data } = await stripeApi().paymentIntents.list({ limit: 100 });
    expect(data.filter(({ metadata }) => metadata["intent_id"] === order.intentId)).toHaveLength(1);
  });

  test("that was charged another amount buys nothing, and gets it back", async () => {
    const before = await world.books();
    const { key, client } = shopper();
    const order = world.order(key.address, PaymentMethod.CARD, milk);
    const created = await client.createCheckout(order);
    await stripeApi().paymentIntents.update(created.paymentIntentId, { amount: 100 });
    expect(await world.pay(created.clientSecret)).toBe("succeeded");
    const failed = await reached(client, order.intentId, CheckoutState.FAILED);
    expect(failed.failureReason).toBe(ErrorReason.AMOUNT_MISMATCH);
    const refunds = async () => {
      const payment_intent = created.paymentIntentId;
      const { data } = await stripeApi().refunds.list({ payment_intent });
      return data.map(({ amount }) => amount);
    };
    await expect.poll(refunds).toEqual([100]);
    expect(await world.books()).toEqual(before);
    expect(await refusal(client.createCheckout(order))).toEqual({
      reason: "INTENT_FAILED",
      metadata: { intentId: order.intentId, firstReason: "AMOUNT_MISMATCH" },
    });
  });
});

describe("time", () => {
  test("that is up cancels what is unpaid, and loses nothing that is paid", async () => {
    const before = await world.books();
    const { key } = await richShopper(1_050n);
    const replica = await world.ledger.openReplica();
    await world.stopCheckout();
    const lifetimeSeconds = 60;
    await world.startCheckout({ CHECKOUT_LIFETIME_SECONDS: String(lifetimeSeconds) });
    const unpaid = shopper();
    const paid = shopper();
    const silent = shopper();
    const unpaidOrder = world.order(unpaid.key.address, PaymentMethod.CARD, milk);
    const paidOrder = world.order(paid.key.address, PaymentMethod.CARD, bundle);
    const silentOrder = world.order(silent.key.address, PaymentMethod.BALANCE, milk);
    const [{ clientSecret }, created] = await Promise.all([
      unpaid.client.createCheckout(unpaidOrder),
      paid.client.createCheckout(paidOrder),
      silent.client.createCheckout(silentOrder),
    ]);
    // A wallet may have its intent attested and cleared without us.
    const ownOrder = world.order(key.address, PaymentMethod.BALANCE, milk);
    const { intent } = await world.client("checkout.buy").createCheckout(ownOrder);
    if (intent === undefined) throw new Error("no intent came");
    const own = world.ledger.attest(parseIntent(intent), key);
    // Or something else under its id, which pays for nothing here.
    const otherOrder = world.order(key.address, PaymentMethod.BALANCE, milk);
    const { intent: wanted } = await world.client("checkout.buy").createCheckout(otherOrder);
    if (wanted === undefined) throw new Error("no intent came");
    const other = world.ledger.attest({ ...parseIntent(wanted), reference: "another" }, key);
    // Or change its mind after it has cancelled, while the intent lives; another one does not.
    const cancelling = world.client("checkout.buy");
    const boughtOrder = world.order(key.address, PaymentMethod.BALANCE, milk);
    const { intent: cancelled } = await cancelling.createCheckout(boughtOrder);
    if (cancelled === undefined) throw new Error("no intent came");
    const bought = world.ledger.attest(parseIntent(cancelled), key);
    const droppedOrder = world.order(key.address, PaymentMethod.BALANCE, milk);
    await cancelling.createCheckout(droppedOrder);
    for (const { intentId } of [boughtOrder, droppedOrder]) {
      await cancelling.cancelCheckout({ key: { case: "intentId", value: intentId } });
    }
    const results = await clearAll(replica, [own, other, bought]);
    expect(results).toMatchObject(Array(3).fill({ state: "CLEARED" }));
    await world.ledger.closeReplica(replica);

    // Nobody hears of the payment until its intent has expired: after twice the time in which it was to be paid.
    await world.stopCheckout();
    expect(await world.pay(created.clientSecret)).toBe("succeeded");
    const { issueTime, expireTime } = created.intent ?? {};
    expect(Number(expireTime?.seconds) - Number(issueTime?.seconds)).toBe(2 * lifetimeSeconds);
    onTestFinished(() => world.setAhead(0));
    await world.setAhead(2 * lifetimeSeconds * 1_000);
    await world.startCheckout();

    const admin = world.client("checkout.buy checkout.admin");
    const cleared = await reached(admin, paidOrder.intentId, CheckoutState.CLEARED);
    expect(cleared.purchases).toMatchObject([
      { intentId: paidOrder.intentId, state: EntryState.FAILED },
      { intentId: cleared.clearedIntentId, state: EntryState.CLEARED },
    ]);
    const late = await reached(admin, unpaidOrder.intentId, CheckoutState.CANCELLED);
    expect(states(late)).toEqual(["CREATED", "AWAITING_PAYMENT", "CANCELLED"]);
    expect(await world.pay(clientSecret)).toBe("payment_intent_unexpected_state");
    await reached(admin, silentOrder.intentId, CheckoutState.CANCELLED);
    await reached(admin, otherOrder.intentId, CheckoutState.CANCELLED);
    const found = await reached(admin, ownOrder.intentId, CheckoutState.CLEARED);
    expect(states(found)).toEqual(["CREATED", "AWAITING_SIGNATURE", "PAID", "CLEARED"]);
    for (const over of [unpaidOrder, silentOrder]) {
      expect((await refusal(admin.createCheckout(over))).reason).toBe("INTENT_EXPIRED");
    }
    const followed = await reached(admin, boughtOrder.intentId, CheckoutState.CLEARED);
    expect(states(followed).slice(1)).toEqual([
      "AWAITING_SIGNATURE",
      "CANCELLED",
      "PAID",
      "CLEARED",
    ]);
    expect(followed.failureReason).toBe(ErrorReason.UNSPECIFIED);
    const dropped = await reached(admin, droppedOrder.intentId, CheckoutState.CANCELLED);
    expect(dropped.failureReason).toBe(ErrorReason.CHECKOUT_CANCELLED);
    expect(await world.books()).toMatchObject({ stripe: before.stripe + 750n });
  });
});

describe("a checkout that is cancelled", () => {
  const byId = ({ intentId }: { readonly intentId: string }) => ({
    key: { case: "intentId", value: intentId } as const,
  });

  test("can be paid no more, by card or by balance, however often it is asked", async () => {
    const { key, client } = await richShopper(1_000n);
    const byCard = world.order(key.address, PaymentMethod.CARD, milk);
    const { clientSecret } = await client.createCheckout(byCard);
    const byBalance = world.order(key.address, PaymentMethod.BALANCE, milk);
    const offered = await client.createCheckout(byBalance);
    for (const order of [byCard, byBalance]) {
      const { checkout } = await client.cancelCheckout(byId(order));
      expect(checkout).toMatchObject({
        state: CheckoutState.CANCELLED,
        failureReason: ErrorReason.CHECKOUT_CANCELLED,
      });
      expect((await client.cancelCheckout(byId(order))).checkout).toEqual(checkout);
    }
    expect(await world.pay(clientSecret)).toBe("payment_intent_unexpected_state");
    const own = { ...byBalance, walletSignature: signed(offered, key) };
    for (const order of [byCard, own]) {
      expect(await refusal(client.createCheckout(order))).toEqual({
        reason: "CHECKOUT_CANCELLED",
        metadata: { intentId: order.intentId },
      });
    }
  });

  test("was not paid: else it goes on, and says so", async () => {
    const { key, client } = shopper();
    const order = world.order(key.address, PaymentMethod.CARD, milk);
    const { clientSecret } = await client.createCheckout(order);
    expect(await world.pay(clientSecret)).toBe("succeeded");
    const { reason, metadata } = await refusal(client.cancelCheckout(byId(order)));
    expect({ reason, metadata }).toEqual({
      reason: "NOT_CANCELLABLE",
      metadata: { intentId: order.intentId, state: "CLEARED" },
    });
    await reached(client, order.intentId, CheckoutState.CLEARED);
  });

  test("or paid: whoever is first, once", async () => {
    const before = await world.books();
    const races = Array.from({ length: 8 }, async () => {
      const { key, client } = shopper();
      const order = world.order(key.address, PaymentMethod.CARD, milk);
      const { clientSecret } = await client.createCheckout(order);
      const [paid, cancelled] = await Promise.all([
        world.pay(clientSecret),
        client.cancelCheckout(byId(order)).then(
          () => "CANCELLED",
          (error: unknown) => refusal(Promise.reject(error)).then(({ reason }) => reason),
        ),
      ]);
      const end = paid === "succeeded" ? CheckoutState.CLEARED : CheckoutState.CANCELLED;
      await reached(client, order.intentId, end);
      expect(cancelled).toBe(paid === "succeeded" ? "NOT_CANCELLABLE" : "CANCELLED");
      return paid === "succeeded";
    });
    const bought = (await Promise.all(races)).filter(Boolean).length;
    expect((await world.books()).stripe - before.stripe).toBe(350n * BigInt(bought));
  });

  test("while Stripe does not answer is not cancelled yet, and is by the same request later", async () => {
    const { key, client } = shopper();
    const order = world.order(key.address, PaymentMethod.CARD, milk);
    await client.createCheckout(order);
    world.stripe.control.failCalls({ kind: "error_500", times: 100, method: "POST" });
    expect((await refusal(client.cancelCheckout(byId(order)))).reason).toBe("PAYMENTS_UNAVAILABLE");
    world.stripe.control.clearFaults();
    const { checkout } = await client.cancelCheckout(byId(order));
    expect(checkout?.state).toBe(CheckoutState.CANCELLED);
  });

  test("is one that its canceller may see, and nobody else's", async () => {
    const { key, client } = shopper();
    const order = world.order(key.address, PaymentMethod.CARD, milk);
    await client.createCheckout(order);
    const other = shopper().client;
    expect((await refusal(other.cancelCheckout(byId(order)))).reason).toBe("CHECKOUT_NOT_FOUND");
    const support = world.client("checkout.refund");
    const { merchantId, orderId } = order;
    const named = { key: { case: "order", value: { merchantId, orderId } } as const };
    const { checkout } = await support.cancelCheckout(named);
    expect(checkout?.state).toBe(CheckoutState.CANCELLED);
  });
});

test("a card that Stripe refuses to take for good ends when the time is up", async () => {
  // A key that may not: whatever is asked, however often.
  const refusing = createServer((_request, response) => {
    response.writeHead(403, { "content-type": "application/json" });
    response.end('{"error":{"type":"invalid_request_error","code":"permission_denied"}}');
  }).listen(0, "127.0.0.1");
  onTestFinished(async () => {
    refusing.closeAllConnections();
    refusing.close();
    await world.setAhead(0);
    await world.stopCheckout();
    await world.startCheckout();
  });
  await once(refusing, "listening");
  const { port } = refusing.address() as AddressInfo;
  const lifetimeSeconds = 60;
  await world.stopCheckout();
  await world.startCheckout({
    CHECKOUT_LIFETIME_SECONDS: String(lifetimeSeconds),
    STRIPE_API_URL: `http://127.0.0.1:${port}`,
  });
  const { key, client } = shopper();
  const order = world.order(key.address, PaymentMethod.CARD, milk);
  expect((await refusal(client.createCheckout(order))).reason).toBe("INTERNAL");
  const waiting = await reached(client, order.intentId, CheckoutState.CREATED);
  expect(states(waiting)).toEqual(["CREATED"]);

  // Its intent, attested before Stripe refused, has expired as well.
  await world.setAhead(2 * lifetimeSeconds * 1_000);
  const ended = await reached(client, order.intentId, CheckoutState.CANCELLED);
  expect(states(ended)).toEqual(["CREATED", "CANCELLED"]);
  expect(ended.transitions.at(-1)?.cause).toBe("time is up, and no payment was offered: INTERNAL");
  expect(ended.failureReason).toBe(ErrorReason.INTERNAL);
  expect((await refusal(client.createCheckout(order))).reason).toBe("INTENT_EXPIRED");
});

describe("a balance", () => {
  test("pays when its wallet has signed, and not before", async () => {
    const before = await world.books();
    const { key, client } = await richShopper(1_000n);
    const order = world.order(key.address, PaymentMethod.BALANCE, [
      { sku: "BREAD", quantity: 2 },
      { sku: "BUNDLE", quantity: 1 },
    ]);
    // More than there is: 2 × 1.50 and 7.50 are 10.50.
    const asked = await client.createCheckout(order);
    expect(asked.checkout?.state).toBe(CheckoutState.AWAITING_SIGNATURE);
    expect(asked.checkout?.amount).toBe("1050");
    expect(asked.attestation).toBeUndefined();
    const walletSignature = signed(asked, key);
    expect((await refusal(client.createCheckout({ ...order, walletSignature }))).reason).toBe(
      "INSUFFICIENT_FUNDS",
    );
    expect(await refusal(client.createCheckout({ ...order, walletSignature }))).toEqual({
      reason: "INTENT_FAILED",
      metadata: { intentId: order.intentId, firstReason: "INSUFFICIENT_FUNDS" },
    });

    const second = world.order(key.address, PaymentMethod.BALANCE, bundle);
    const offered = await client.createCheckout(second);
    const foreign = { ...second, walletSignature: signed(offered, newKey()) };
    expect((await refusal(client.createCheckout(foreign))).reason).toBe("WALLET_SIGNATURE_INVALID");
    const own = { ...second, walletSignature: signed(offered, key) };
    const cleared = await client.createCheckout(own);
    expect(cleared.checkout?.state).toBe(CheckoutState.CLEARED);
    expect(cleared.attestation?.walletSignature).toBe(own.walletSignature);
    expect((await client.createCheckout(own)).checkout).toEqual(cleared.checkout);
    const after = await world.books();
    expect(after.milk - before.milk).toBe(350n);
    expect(after.stripe).toBe(before.stripe);
  });

  test("pays as well if somebody had its intent attested before, together with others", async () => {
    const { key, client } = await richShopper(1_000n);
    const order = world.order(key.address, PaymentMethod.BALANCE, bundle);
    const asked = await client.createCheckout(order);
    const walletSignature = signed(asked, key);
    const { intent } = asked;
    if (intent === undefined) throw new Error("nothing to sign");
    using attestor = world.attestor();
    const other = formatIntent(world.ledger.funding(key.address, 1n).intent);
    const { results } = await attestor.attestBatch({
      requests: [{ intent, walletSignature }, { intent: other }],
    });
    const attested = results[0]?.outcome;
    const attestation = attested?.case === "attestation" ? attested.value : undefined;
    expect(attestation?.tree).toBeDefined();
    const cleared = await client.createCheckout({ ...order, walletSignature });
    expect(cleared.checkout?.state).toBe(CheckoutState.CLEARED);
    expect(cleared.attestation).toEqual(attestation);
    const judged = await attestor.verifyAttestation({
      intent,
      ...(attestation && { attestation }),
    });
    expect(judged).toMatchObject({ valid: true, signer: attestation?.signer });
  });
});

describe("what is wrong", () => {
  const bad = [
    [
      "an unknown SKU",
      { items: [{ sku: "CAVIAR", quantity: 1 }] },
      "INVALID_FIELD",
      "items[0].sku",
    ],
    ["no items", { items: [] }, "INVALID_FIELD", "items"],
    [
      "a quantity of 0",
      { items: [{ sku: "MILK", quantity: 0 }] },
      "INVALID_FIELD",
      "items[0].quantity",
    ],
    [
      "a quantity of 10,001",
      { items: [{ sku: "MILK", quantity: 10_001 }] },
      "INVALID_FIELD",
      "items[0].quantity",
    ],
    ["a SKU twice", { items: [...milk, ...milk] }, "INVALID_FIELD", "items[1].sku"],
    ["the zero wallet", { wallet: zeroWallet }, "INVALID_FIELD", "wallet"],
    ["an empty order id", { orderId: "" }, "INVALID_FIELD", "order_id"],
    [
      "no payment method",
      { paymentMethod: PaymentMethod.UNSPECIFIED },
      "INVALID_FIELD",
      "payment_method",
    ],
    [
      "a signature for a card",
      { walletSignature: `0x${"11".repeat(65)}` },
      "INVALID_FIELD",
      "wallet_signature",
    ],
  ] as const;

  test.each(bad)(
    "%s is refused by its field, and nothing happens",
    async (_, change, reason, field) => {
      const client = world.client("checkout.buy");
      const before = [await world.books(), world.stripe.control.state().objects];
      const order = { ...world.order(newKey().address, PaymentMethod.CARD, milk), ...change };
      const refused = await refusal(client.createCheckout({ ...order, items: [...order.items] }));
      expect(refused).toMatchObject({ reason, metadata: { field } });
      expect([await world.books(), world.stripe.control.state().objects]).toEqual(before);
      const key = { case: "intentId" as const, value: order.intentId };
      expect((await refusal(client.getCheckout({ key }))).reason).toBe("CHECKOUT_NOT_FOUND");
    },
  );

  test("an amount that differs, and money that is not taken here", async () => {
    const client = world.client("checkout.buy");
    const order = world.order(newKey().address, PaymentMethod.CARD, bundle);
    expect(await refusal(client.createCheckout({ ...order, expectedAmount: "700" }))).toEqual({
      reason: "AMOUNT_MISMATCH",
      metadata: { expectedAmount: "700", amount: "750" },
    });
    for (const poscr of [{ paymentMethod: PaymentMethod.POSCR }, { burnPoscr: true }]) {
      expect(await refusal(client.createCheckout({ ...order, ...poscr }))).toEqual({
        reason: "PAYMENT_METHOD_UNAVAILABLE",
        metadata: { paymentMethod: "POSCR" },
      });
    }
    expect(
      (await client.createCheckout({ ...order, expectedAmount: "750" })).clientSecret,
    ).not.toBe("");
  });

  test("an order id or an intent id for something else", async () => {
    const client = world.client("checkout.buy");
    const order = world.order(newKey().address, PaymentMethod.CARD, bundle);
    await client.createCheckout(order);
    for (const other of [{ items: milk }, { wallet: newKey().address }, {}]) {
      const reused = { ...order, ...other, intentId: newUuidV7() };
      expect(await refusal(client.createCheckout(reused))).toEqual({
        reason: "ORDER_ID_REUSED",
        metadata: { merchantId: order.merchantId, orderId: order.orderId },
      });
    }
    for (const other of [
      { items: milk },
      { paymentMethod: PaymentMethod.BALANCE },
      { orderId: "x" },
    ]) {
      expect((await refusal(client.createCheckout({ ...order, ...other }))).reason).toBe(
        "INTENT_ID_REUSED",
      );
    }
  });

  test("more than twenty of one wallet that are open, however many come at once", async () => {
    const { key, client } = await richShopper(350n);
    const orders = Array.from({ length: 24 }, () =>
      world.order(key.address, PaymentMethod.BALANCE, milk),
    );
    const ends = await Promise.allSettled(orders.map((order) => client.createCheckout(order)));
    const refused = ends.filter((end) => end.status === "rejected");
    expect(refused).toHaveLength(4);
    for (const { reason: error } of refused) {
      expect(await refusal(Promise.reject(error))).toEqual({
        reason: "LIMIT_EXCEEDED",
        metadata: { limit: "20", what: "open checkouts of one wallet" },
      });
      expect(ConnectError.from(error).findDetails(RetryInfoSchema)).toHaveLength(1);
    }
    // Those that are there are answered as before, nothing is left of the others, and a merchant sells to the wallet on.
    const first = orders[ends.findIndex(({ status }) => status === "fulfilled")];
    const again = await client.createCheckout(first ?? {});
    expect(again.checkout?.state).toBe(CheckoutState.AWAITING_SIGNATURE);
    expect((await client.listCheckouts({ pageSize: 100 })).checkouts).toHaveLength(20);
    const market = world.client("checkout.buy", undefined, "market-1");
    const sold = Array.from({ length: 22 }, () =>
      market.createCheckout(world.order(key.address, PaymentMethod.BALANCE, milk)),
    );
    const sales = await Promise.allSettled(sold);
    expect(sales.filter(({ status }) => status === "rejected")).toHaveLength(2);
    // Nor does the house stop, whose token is bound to nobody.
    const house = world.client("checkout.buy");
    await house.createCheckout(world.order(key.address, PaymentMethod.BALANCE, milk));
    // What is paid makes room.
    const walletSignature = signed(again, key);
    const paid = await client.createCheckout({ ...first, walletSignature });
    expect(paid.checkout?.state).toBe(CheckoutState.CLEARED);
    await client.createCheckout(world.order(key.address, PaymentMethod.BALANCE, milk));
  });

  test("a wallet that is another's", async () => {
    const [mine, theirs] = [shopper(), shopper()];
    const order = world.order(theirs.key.address, PaymentMethod.CARD, milk);
    expect((await refusal(mine.client.createCheckout(order))).reason).toBe("SCOPE_MISSING");
    await theirs.client.createCheckout(order);
    const keys = [
      { case: "intentId" as const, value: order.intentId },
      { case: "order" as const, value: { merchantId: order.merchantId, orderId: order.orderId } },
    ];
    for (const key of keys) {
      expect((await refusal(mine.client.getCheckout({ key }))).reason).toBe("CHECKOUT_NOT_FOUND");
      expect((await theirs.client.getCheckout({ key })).checkout?.intentId).toBe(order.intentId);
    }
    const listed = await mine.client.listCheckouts({ wallet: theirs.key.address });
    expect(listed.checkouts).toEqual([]);
    const named = {
      order: { merchantId: order.merchantId, orderId: order.orderId },
      items: milk,
      intentId: newUuidV7(),
    };
    expect((await refusal(theirs.client.refundCheckout(named))).reason).toBe("SCOPE_MISSING");
    expect((await refusal(theirs.client.fulfilCheckout(named))).reason).toBe("SCOPE_MISSING");
  });
});

describe("a merchant's token", () => {
  const scope = "checkout.buy checkout.refund checkout.admin attest.house";
  const merchantOf = (merchant: string) => world.client(scope, undefined, merchant);

  test("sells, refunds and fulfils at its own shop, and sees nothing of another's", async () => {
    const [market, other] = [merchantOf("market-1"), merchantOf("market-2")];
    const { key, client } = shopper();
    const eggs = [{ sku: "EGGS", quantity: 1 }];
    const order = world.order(key.address, PaymentMethod.CARD, [...milk, ...eggs]);
    const { clientSecret, checkout } = await market.createCheckout(order);
    const { merchantId, orderId } = order;
    expect(checkout?.order).toMatchObject({ merchantId, orderId, wallet: "" });
    await world.pay(clientSecret);
    await reached(client, order.intentId, CheckoutState.CLEARED);

    const named = { merchantId, orderId };
    const byOrder = { case: "order", value: named } as const;
    const byId = { case: "intentId", value: order.intentId } as const;
    for (const key of [byOrder, byId]) {
      for (const seer of [market, client, world.client("checkout.admin")]) {
        expect((await seer.getCheckout({ key })).checkout?.intentId).toBe(order.intentId);
      }
      expect((await refusal(other.getCheckout({ key }))).reason).toBe("CHECKOUT_NOT_FOUND");
    }
    const listed = (await market.listCheckouts({ pageSize: 1_000 })).checkouts;
    expect(listed.map(({ intentId }) => intentId)).toContain(order.intentId);
    expect(new Set(listed.map((each) => each.order?.merchantId))).toEqual(new Set([merchantId]));
    expect((await other.listCheckouts({})).checkouts).toEqual([]);
    expect((await other.listCheckouts({ merchantId })).checkouts).toEqual([]);

    const foreign = { order: named, items: milk, intentId: newUuidV7() };
    expect((await refusal(other.refundCheckout(foreign))).reason).toBe("CHECKOUT_NOT_FOUND");
    expect((await refusal(other.fulfilCheckout(foreign))).reason).toBe("CHECKOUT_NOT_FOUND");
    const fulfilled = await market.fulfilCheckout({
      order: named,
      items: milk,
      intentId: newUuidV7(),
    });
    expect(fulfilled.fulfilment?.state).toBe(EntryState.CLEARED);
    const refunded = await market.refundCheckout({
      order: named,
      items: eggs,
      intentId: newUuidV7(),
    });
    expect(refunded.refund?.state).toBe(EntryState.CLEARED);
    expect((await refusal(market.listWebhookEvents({}))).reason).toBe("SCOPE_MISSING");
    expect(
      await refusal(other.createCheckout(world.order(key.address, PaymentMethod.CARD, milk))),
    ).toEqual({ reason: "SCOPE_MISSING", metadata: { merchant: "market-2" } });
  });
});

test("an order id is each shopper's own, and the merchant's own, and an operator says whose", async () => {
  const merchantId = `market-${newUuidV7().slice(-12)}`;
  const orderId = "1";
  const [mine, theirs] = [shopper(), shopper()];
  const market = world.client("checkout.buy", undefined, merchantId);
  const admin = world.client("checkout.buy checkout.admin");
  const buy = async (client: typeof market, wallet: string) => {
    const order = { ...world.order(wallet, PaymentMethod.BALANCE, milk), merchantId, orderId };
    return (await client.createCheckout(order)).checkout;
  };
  const made = [
    await buy(mine.client, mine.key.address),
    await buy(theirs.client, theirs.key.address),
    await buy(market, mine.key.address),
  ];
  expect(made.map((each) => each?.order?.wallet)).toEqual([
    mine.key.address,
    theirs.key.address,
    "",
  ]);
  const taken = { reason: "ORDER_ID_REUSED", metadata: { merchantId, orderId } };
  expect(await refusal(buy(mine.client, mine.key.address))).toEqual(taken);
  // Whoever is bound to no wallet asks for the merchant.
  expect(await refusal(buy(admin, theirs.key.address))).toEqual(taken);

  const find = async (client: typeof market, wallet = "") => {
    const key = { case: "order", value: { merchantId, orderId, wallet } } as const;
    return (await client.getCheckout({ key })).checkout?.intentId;
  };
  const [first, second, third] = made.map((each) => each?.intentId);
  expect([await find(mine.client), await find(theirs.client)]).toEqual([first, second]);
  expect([await find(market), await find(market, mine.key.address)]).toEqual([third, first]);
  const named = [mine.key.address, theirs.key.address, zeroWallet];
  expect(await Promise.all(named.map((wallet) => find(admin, wallet)))).toEqual([
    first,
    second,
    third,
  ]);
  expect(await refusal(find(admin))).toMatchObject({
    reason: "INVALID_FIELD",
    metadata: { field: "order.wallet" },
  });
});

test("what was sold is listed newest first, page by page", async () => {
  const { key, client } = shopper();
  const made: string[] = [];
  for (let count = 0; count < 5; count += 1) {
    const order = world.order(key.address, PaymentMethod.BALANCE, milk);
    await client.createCheckout(order);
    made.unshift(order.intentId);
  }
  const found: string[] = [];
  let pageToken = "";
  do {
    const page = await client.listCheckouts({ pageSize: 2, pageToken });
    found.push(...page.checkouts.map(({ intentId }) => intentId));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  expect(found).toEqual(made);
  const { nextPageToken } = await client.listCheckouts({ pageSize: 2 });
  const other = client.listCheckouts({ pageToken: nextPageToken, merchantId: "market-1" });
  expect((await refusal(other)).metadata).toMatchObject({ field: "page_token" });
});

test("goods are handed over and money given back, item by item", async () => {
  const before = await world.books();
  const { key, client } = shopper();
  const admin = world.client("checkout.admin");
  const order = world.order(key.address, PaymentMethod.CARD, [
    { sku: "MILK", quantity: 2 },
    { sku: "EGGS", quantity: 1 },
  ]);
  const named = { merchantId: order.merchantId, orderId: order.orderId };
  const { clientSecret } = await client.createCheckout(order);
  expect(
    (await refusal(admin.refundCheckout({ order: named, items: milk, intentId: newUuidV7() })))
      .reason,
  ).toBe("NOT_REFUNDABLE");
  expect(
    (await refusal(admin.fulfilCheckout({ order: named, items: milk, intentId: newUuidV7() })))
      .reason,
  ).toBe("NOT_FULFILLABLE");
  await world.pay(clientSecret);
  await reached(client, order.intentId, CheckoutState.CLEARED);

  const fulfilled = await admin.fulfilCheckout({
    order: named,
    items: milk,
    intentId: newUuidV7(),
  });
  expect(fulfilled.fulfilment?.state).toBe(EntryState.CLEARED);
  expect(fulfilled.checkout?.items[0]).toMatchObject({
    fulfilledQuantity: 1,
    state: ItemState.PARTLY_FULFILLED,
  });
  const all = [
    { sku: "MILK", quantity: 2 },
    { sku: "EGGS", quantity: 1 },
  ];
  const request = { order: named, items: all, intentId: newUuidV7() };
  const refunded = await admin.refundCheckout(request);
  expect(refunded.refund).toMatchObject({
    amount: "950",
    obligationAmount: "600",
    state: EntryState.CLEARED,
  });
  expect(refunded.checkout?.state).toBe(CheckoutState.REFUNDED);
  expect((await admin.refundCheckout(request)).refund).toEqual(refunded.refund);
  expect(
    (await refusal(admin.refundCheckout({ order: named, items: milk, intentId: newUuidV7() })))
      .metadata,
  ).toEqual({
    orderId: order.orderId,
    sku: "MILK",
    refundable: "0",
  });
  expect(await world.books()).toEqual({
    ...before,
    losses: before.losses + 350n,
    agent: before.agent - 350n,
  });
});

test("who watches is told when the process leaves", async () => {
  const { key, client } = shopper();
  const order = world.order(key.address, PaymentMethod.BALANCE, milk);
  await client.createCheckout(order);
  const seen: CheckoutState[] = [];
  const watch = async () => {
    const key = { case: "intentId" as const, value: order.intentId };
    for await (const { checkout } of client.watchCheckout({ key })) {
      seen.push(checkout?.state ?? CheckoutState.UNSPECIFIED);
    }
  };
  const watching = refusal(watch());
  await expect.poll(() => seen).toEqual([CheckoutState.AWAITING_SIGNATURE]);
  await world.drainCheckout();
  expect((await watching).reason).toBe("DRAINING");
  await world.stopCheckout();
  await world.startCheckout();
});
