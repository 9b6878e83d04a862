import { describe, expect, it } from "vitest";
import type {
  CheckoutRecord,
  CheckoutState,
  Entry,
  EntryState,
  PaymentMethod,
} from "../order/record.ts";
import { nextCheckMs, nextStep } from "./next-step.ts";

const createTimeMs = 1_000_000;
const expireTimeMs = 2_000_000;

function entry(kind: Entry["kind"], state: EntryState): Entry {
  return {
    entryId: `${kind} ${state}`,
    kind,
    state,
    portions: [],
    items: [],
    stripeRefundId: "",
    external: false,
    correctsEntryId: "",
    createTimeMs,
    attempts: [],
  };
}

function record(
  state: CheckoutState,
  options: {
    readonly paymentMethod?: PaymentMethod;
    readonly returnOwed?: boolean;
    readonly entries?: readonly Entry[];
  } = {},
): CheckoutRecord {
  return {
    order: {
      intentId: "0198c0de-0000-7000-8000-000000000001",
      merchantId: "market-1",
      orderId: "A-17",
      wallet: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
      merchantsOwn: false,
      paymentMethod: options.paymentMethod ?? "CARD",
      items: [{ sku: "MILK", quantity: 1 }],
      amount: 350n,
      ledger: 1,
      createTimeMs,
      expireTimeMs,
      state,
      paymentIntentId: "pi_1",
      walletSignature: "",
      failureReason: "",
      declineCode: "",
      returnOwed: options.returnOwed ?? false,
      returnedRefundId: "",
      revision: 1n,
    },
    transitions: [],
    entries: options.entries ?? [entry("PURCHASE", "PENDING")],
  };
}

const check = ({ order, entries }: CheckoutRecord, nowMs: number) =>
  nextCheckMs(order, entries, nowMs);

describe("what is to be done next", () => {
  it("offers a card's checkout, looks at its payment, and cancels that when the time is up", () => {
    expect(nextStep(record("CREATED"), createTimeMs)).toEqual({ kind: "offer" });
    const waiting = record("AWAITING_PAYMENT");
    expect(nextStep(waiting, expireTimeMs - 1)).toEqual({ kind: "look", cancel: false });
    expect(nextStep(waiting, expireTimeMs)).toEqual({ kind: "look", cancel: true });
    expect(check(waiting, createTimeMs)).toBe(expireTimeMs);
  });

  it("waits for a signature until Clearing can take the intent no more", () => {
    const waiting = record("AWAITING_SIGNATURE", { paymentMethod: "BALANCE" });
    expect(nextStep(waiting, expireTimeMs)).toBeUndefined();
    const atMs = check(waiting, createTimeMs) ?? 0;
    expect(atMs).toBeGreaterThan(expireTimeMs);
    expect(nextStep(waiting, atMs)).toEqual({ kind: "expire" });
  });

  it("looks once more at what was cancelled, when its wallet can clear it no more", () => {
    const cancelled = record("CANCELLED", { paymentMethod: "BALANCE" });
    expect(nextStep(cancelled, expireTimeMs)).toBeUndefined();
    const atMs = check(cancelled, createTimeMs) ?? 0;
    expect(nextStep(cancelled, atMs)).toEqual({ kind: "expire" });
  });

  it("enters what is paid, then one entry after the other", () => {
    expect(nextStep(record("PAID"), createTimeMs)).toMatchObject({ kind: "enter" });
    const entries = [
      entry("PURCHASE", "CLEARED"),
      entry("REFUND", "CLEARED"),
      entry("FULFILMENT", "PENDING"),
      entry("REFUND", "PENDING"),
    ];
    const next = nextStep(record("PARTLY_REFUNDED", { entries }), createTimeMs);
    expect(next).toEqual({ kind: "enter", entry: entries[2] });
  });

  it("gives back what it owes, and has nothing to do with what is over", () => {
    expect(nextStep(record("FAILED", { returnOwed: true }), createTimeMs)).toEqual({
      kind: "return",
    });
    const entries = [entry("PURCHASE", "CLEARED"), entry("REFUND", "FAILED")];
    for (const over of [
      record("FAILED"),
      record("CANCELLED", { entries: [entry("PURCHASE", "FAILED")] }),
      record("CLEARED", { entries }),
      record("REFUNDED", { entries }),
    ]) {
      expect(nextStep(over, expireTimeMs * 2)).toBeUndefined();
      expect(check(over, createTimeMs)).toBeUndefined();
    }
  });

  it("is looked after soon in every state in which something is under way", () => {
    const entries = [entry("PURCHASE", "CLEARED"), entry("REFUND", "PENDING")];
    for (const busy of [
      record("CREATED"),
      record("PAID"),
      record("FAILED", { returnOwed: true }),
      record("CLEARED", { entries }),
    ]) {
      const atMs = check(busy, createTimeMs) ?? Number.POSITIVE_INFINITY;
      expect(atMs - createTimeMs).toBeGreaterThan(0);
      expect(atMs - createTimeMs).toBeLessThanOrEqual(15_000);
    }
  });
});
