// Goal: whatever stops a card checkout for good, it comes to an end, nothing that a card has paid is forgotten, and somebody
// hears of it. Method: the settler on records in memory, with peers that do all they are asked and a Stripe that does not.
import { describe, expect, it } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import type { Attestation } from "#common/intent/intent.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { purchaseIntent } from "../order/intents.ts";
import type { CheckoutRecord, CheckoutState, Order } from "../order/record.ts";
import {
  type Change,
  type CheckoutStore,
  type Payment,
  type PaymentRefund,
  type Payments,
  type Peers,
  RefundRefused,
} from "../ports.ts";
import { nextCheckMs } from "./next-step.ts";
import type { Alarm } from "./ports.ts";
import { createSettler } from "./steps.ts";

const intentId = newUuidV7();
const createTimeMs = 1_800_000_000_000;
const expireTimeMs = createTimeMs + 60_000;
const limit = { deadlineMs: Number.MAX_SAFE_INTEGER };

const attestation: Attestation = {
  digest: `0x${"11".repeat(32)}`,
  signature: `0x${"22".repeat(65)}`,
  signer: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
  walletSignature: "",
};

function recordIn(state: CheckoutState, more: Partial<Order> = {}): CheckoutRecord {
  const order: Order = {
    intentId,
    merchantId: "market-1",
    orderId: "A-17",
    wallet: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    merchantsOwn: false,
    paymentMethod: "CARD",
    items: [{ sku: "MILK", quantity: 1 }],
    amount: 350n,
    ledger: 1,
    createTimeMs,
    expireTimeMs,
    state,
    paymentIntentId: "",
    walletSignature: "",
    failureReason: "",
    declineCode: "",
    returnOwed: false,
    returnedRefundId: "",
    revision: 1n,
    ...more,
  };
  const attempt = { attestation: undefined, state: "PENDING", commitTimestamp: undefined } as const;
  return {
    order,
    transitions: [],
    entries: [
      {
        entryId: intentId,
        kind: "PURCHASE",
        state: "PENDING",
        portions: [],
        items: order.items,
        stripeRefundId: "",
        external: false,
        correctsEntryId: "",
        createTimeMs,
        attempts: [{ ...attempt, intent: purchaseIntent(order), createTimeMs }],
      },
    ],
  };
}

/** The record after a change of its order, its state or its entries' states. */
function changed(record: CheckoutRecord, { state, order, entries }: Change): CheckoutRecord {
  const { order: before, transitions } = record;
  const step = state && { from: before.state, to: state.to, cause: state.cause, timeMs: 0 };
  const states = new Map(entries?.map(({ entryId, state: to }) => [entryId, to]));
  return {
    order: {
      ...before,
      ...order,
      state: state?.to ?? before.state,
      revision: before.revision + 1n,
    },
    transitions: step === undefined ? transitions : [...transitions, step],
    entries: record.entries.map((entry) => ({
      ...entry,
      state: states.get(entry.entryId) ?? entry.state,
    })),
  };
}

const refuse = () => Promise.reject(new Error("it is not to be asked"));

function worldOf(
  first: CheckoutRecord,
  stripe: Partial<Payments>,
  nowMs: number,
  peers: Partial<Peers> = {},
) {
  const alarms: Alarm[] = [];
  let record = first;
  const store = {
    read: async () => record,
    async change(_id: string, decide: (now: CheckoutRecord) => Change | undefined) {
      const change = decide(record);
      if (change !== undefined) record = changed(record, change);
      return record;
    },
  } as Pick<CheckoutStore, "read" | "change"> as CheckoutStore;
  const settler = createSettler({
    store,
    peers: {
      openWallet: async () => undefined,
      attest: async () => attestation,
      clear: refuse,
      findAttestation: refuse,
      ...peers,
    },
    payments: {
      create: refuse,
      read: refuse,
      cancel: refuse,
      refund: refuse,
      refunds: refuse,
      ...stripe,
    },
    nowMs: () => nowMs,
    alarm: (alarm) => alarms.push(alarm),
  });
  const settle = () => settler.settle(intentId, limit);
  const isDue = () => nextCheckMs(record.order, record.entries, nowMs) !== undefined;
  return { settle, alarms, record: () => record, isDue };
}

function paymentIn(status: Payment["status"], amountReceived = 0n): Payment {
  return {
    id: "pi_1",
    status,
    amount: 350n,
    amountReceived,
    currency: "usd",
    intentId,
    clientSecret: "secret",
    failure: undefined,
  };
}

describe("a card checkout that no payment can be made for", () => {
  const refusal = new Error("Stripe refuses payment_intents.create");
  const away = new DomainError("PAYMENTS_UNAVAILABLE", "not just now");

  const dayMs = 24 * 3_600_000;

  it.each<[string, Error, number]>([
    ["Stripe refuses, and the shopper may still pay", refusal, expireTimeMs - 1],
    ["Stripe may have made one that nobody has heard of", away, createTimeMs + dayMs / 2],
  ])("is tried again while %s", async (_why, error, nowMs) => {
    const create = () => Promise.reject(error);
    const world = worldOf(recordIn("CREATED"), { create }, nowMs);
    await expect(world.settle()).rejects.toBe(error);
    expect(world.record().order.state).toBe("CREATED");
    expect(world.isDue()).toBe(true);
    expect(world.alarms).toEqual([]);
  });

  it.each<[string, Error, number, string]>([
    ["when the time to pay is up: Stripe refuses", refusal, expireTimeMs, "INTERNAL"],
    [
      "before Stripe would make another: Stripe is away",
      away,
      createTimeMs + dayMs - 1,
      "PAYMENTS_UNAVAILABLE",
    ],
  ])("ends CANCELLED with the cause %s", async (_why, error, nowMs, reason) => {
    const create = () => Promise.reject(error);
    const world = worldOf(recordIn("CREATED"), { create }, nowMs);
    const { order, entries, transitions } = await world.settle();
    expect(order).toMatchObject({ state: "CANCELLED", failureReason: reason });
    expect(entries[0]?.state).toBe("FAILED");
    expect(transitions.at(-1)?.cause).toBe(`time is up, and no payment was offered: ${reason}`);
    expect(world.isDue()).toBe(false);
    expect(world.alarms).toEqual([{ end: "NEVER_OFFERED", intentId, cause: error }]);
  });

  it("is cancelled at Stripe as well if Stripe is back by then", async () => {
    const cancelled: string[] = [];
    const world = worldOf(
      recordIn("CREATED"),
      {
        create: async () => paymentIn("requires_payment_method"),
        async cancel(id) {
          cancelled.push(id);
          return paymentIn("canceled");
        },
      },
      expireTimeMs,
    );
    expect((await world.settle()).order.state).toBe("CANCELLED");
    expect(cancelled).toEqual(["pi_1"]);
    expect(world.alarms).toEqual([]);
  });
});

describe("a payment that bought nothing", () => {
  const owed = recordIn("FAILED", { paymentIntentId: "pi_1", returnOwed: true });
  const read = async () => paymentIn("succeeded", 349n);
  const refund = (status: PaymentRefund["status"], entryId: string): PaymentRefund => {
    return { id: "re_1", status, amount: 349n, currency: "usd", entryId };
  };

  it("that Stripe refuses for good to give back ends, and an operator is told what is owed", async () => {
    const refused = new RefundRefused("pi_1", new Error("disputed"));
    const refunds = async () => [];
    const world = worldOf(owed, { read, refunds, refund: () => Promise.reject(refused) }, 0);
    const { order, transitions } = await world.settle();
    expect(order).toMatchObject({ state: "FAILED", returnOwed: false, returnedRefundId: "" });
    expect(transitions.at(-1)?.cause).toBe("Stripe refuses to give back 3.49 USD");
    expect(world.alarms).toMatchObject([{ end: "NOT_RETURNED", intentId }]);
    expect(world.isDue()).toBe(false);
  });

  it("whose refund of ours has failed ends so too", async () => {
    const world = worldOf(owed, { read, refunds: async () => [refund("failed", intentId)] }, 0);
    expect((await world.settle()).order).toMatchObject({ returnedRefundId: "re_1" });
    expect(world.alarms).toMatchObject([{ end: "NOT_RETURNED" }]);
  });

  it("that somebody gave back at Stripe raises no alarm", async () => {
    const world = worldOf(owed, { read, refunds: async () => [refund("succeeded", "")] }, 0);
    const { order, transitions } = await world.settle();
    expect(order.returnOwed).toBe(false);
    expect(transitions).toEqual([]);
    expect(world.alarms).toEqual([]);
  });

  it.each<[string, Partial<Payments>]>([
    ["does not answer", { read: () => Promise.reject(new Error("no")) }],
    ["does not know it, under the key of another account", { read: async () => undefined }],
    [
      "does not let us refund, for now",
      { read, refunds: async () => [], refund: () => Promise.reject(new Error("403")) },
    ],
  ])("stays owed while Stripe %s", async (_why, stripe) => {
    const world = worldOf(owed, stripe, 0);
    await expect(world.settle()).rejects.toThrow();
    expect(world.record().order.returnOwed).toBe(true);
    expect(world.isDue()).toBe(true);
  });
});

describe("a balance checkout that was cancelled", () => {
  const cancelled = { paymentMethod: "BALANCE", failureReason: "CHECKOUT_CANCELLED" } as const;

  it("is decided when its purchase has expired, once", async () => {
    const nowMs = expireTimeMs + 10_000;
    const peers = { findAttestation: async () => undefined };
    const world = worldOf(recordIn("CANCELLED", cancelled), {}, nowMs, peers);
    expect(world.isDue()).toBe(true);
    const { order, entries } = await world.settle();
    expect(order).toMatchObject({ state: "CANCELLED", failureReason: "CHECKOUT_CANCELLED" });
    expect(entries.map(({ state }) => state)).toEqual(["FAILED"]);
    expect(world.isDue()).toBe(false);
  });
});
