// Goal: what Checkout was told of an order is held against evidence and ledger, leg for leg. Method: the judgement alone.
import { describe, expect, it } from "vitest";
import type { Holding } from "./holdings.ts";
import type { LedgerStanding } from "./judge-evidence.ts";
import { judgeAttempt, judgeOrder } from "./judge-order.ts";
import type { OrderAttempt, OrderEntry } from "./ports.ts";

const order: OrderEntry = {
  checkoutId: "0193b7f0-0000-7000-8000-000000000000",
  merchantId: "market-1",
  orderId: "A-1",
  state: "CLEARED",
  changeNs: 1n,
  isPurchased: true,
  isRefunded: false,
  isBacked: true,
};
const digest = `0x${"11".repeat(32)}`;
const attempt: OrderAttempt = {
  ...order,
  intentId: order.checkoutId,
  orderState: "CLEARED",
  kind: "PURCHASE",
  state: "CLEARED",
  digest,
  legs: 3,
  commitNs: 50n,
  createNs: 40n,
  evidenceDigest: digest,
};
const healthy: LedgerStanding = { gap: undefined, adoptions: [], nowNs: 100n };
const all: Holding = { kind: "ALL", newest: 50n };
const none: Holding = { kind: "NONE", newest: 0n };
const adopted: LedgerStanding = {
  ...healthy,
  adoptions: [{ adoptNs: 60n, oldBirth: undefined, oldMark: undefined, lostFrom: 0n }],
};

describe("an order", () => {
  it("fits if its own rows name what cleared", () => {
    expect(judgeOrder(order)).toBeUndefined();
    expect(judgeOrder({ ...order, state: "REFUNDED", isRefunded: true })).toBeUndefined();
  });

  it.each<[string, Partial<OrderEntry>]>([
    ["its purchase", { isPurchased: false }],
    ["a refund", { state: "PARTLY_REFUNDED" }],
    ["all that was given back or handed over", { isBacked: false }],
  ])("is lost without %s", (what, more) => {
    expect(judgeOrder({ ...order, ...more })).toMatchObject({
      kind: "ORDER_LOST",
      detail: expect.stringMatching(new RegExp(`^order A-1 of market-1 .* cleared for ${what}$`)),
      order: { merchantId: "market-1", orderId: "A-1" },
    });
  });
});

describe("an intent of an order", () => {
  it("fits with evidence and all transfers as Checkout was told, and as dead without them", () => {
    expect(judgeAttempt(attempt, all, healthy)).toEqual({ kind: "FITS" });
    const dead = { ...attempt, state: "DEAD", commitNs: 0n } as const;
    expect(judgeAttempt(dead, none, healthy)).toEqual({ kind: "FITS" });
    expect(judgeAttempt(dead, { kind: "PART", newest: 50n }, healthy)).toEqual({ kind: "FITS" });
  });

  it.each<[string, Partial<OrderAttempt>, Holding]>([
    ["its transfers are not there", {}, none],
    ["a transfer is not there", {}, { kind: "PART", newest: 50n }],
    ["its evidence is not there", { evidenceDigest: undefined }, all],
    ["its evidence and its transfers are not there", { evidenceDigest: "0x22" }, none],
  ])("is lost where %s", (what, more, holding) => {
    const fate = judgeAttempt({ ...attempt, ...more }, holding, healthy);
    expect(fate).toMatchObject({
      kind: "WRONG",
      finding: { kind: "ORDER_LOST", detail: expect.stringMatching(new RegExp(`: ${what}$`)) },
    });
  });

  it("contradicts the ledger if it cleared anew, or although it counts as dead", () => {
    expect(judgeAttempt(attempt, { kind: "ALL", newest: 70n }, healthy)).toMatchObject({
      finding: { kind: "ORDER_ALTERED", detail: expect.stringContaining("cleared again") },
    });
    expect(judgeAttempt({ ...attempt, state: "DEAD" }, all, healthy)).toMatchObject({
      finding: { kind: "ORDER_ALTERED", detail: expect.stringContaining("never clears") },
    });
  });

  it("is given up with the ledger that an adoption gave up, and may clear anew after it; evidence never is", () => {
    const by = adopted.adoptions[0];
    expect(judgeAttempt(attempt, none, adopted)).toEqual({ kind: "GIVEN_UP", by });
    expect(judgeAttempt(attempt, { kind: "ALL", newest: 70n }, adopted)).toEqual({ kind: "FITS" });
    const lost = { ...attempt, evidenceDigest: undefined };
    expect(judgeAttempt(lost, none, adopted).kind).toBe("WRONG");
    const after = { ...attempt, commitNs: 61n };
    expect(judgeAttempt(after, none, adopted).kind).toBe("WRONG");
  });
});
