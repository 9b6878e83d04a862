import { describe, expect, test } from "vitest";
import { checkPostings } from "#common/intent/posting-rules.ts";
import { checkShape } from "#common/intent/rules.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { alice, attest, chart } from "../../../test/support/intents/intents.ts";
import { purchaseIntent, refundIntent } from "../order/intents.ts";
import { linesOf, refundOfItems } from "../order/lines.ts";
import {
  type Attempt,
  type CheckoutRecord,
  type Entry,
  type EntryState,
  entryAmount,
  type Order,
  type Portion,
} from "../order/record.ts";
import type { Change, NewEntry, PaymentRefund } from "../ports.ts";
import { judgeRefund, type Verdict } from "./judge-refund.ts";

const nowMs = Date.UTC(2026, 10, 24, 12);
const issue = () => ({ intentId: newUuidV7(nowMs), nowMs });

const order: Order = {
  intentId: newUuidV7(nowMs),
  merchantId: "market-1",
  orderId: "A-17",
  wallet: alice.address,
  merchantsOwn: false,
  paymentMethod: "CARD",
  items: [{ sku: "BUNDLE", quantity: 1 }],
  amount: 750n,
  ledger: 1,
  createTimeMs: nowMs,
  expireTimeMs: nowMs + 1_800_000,
  state: "CLEARED",
  paymentIntentId: "pi_1",
  walletSignature: "",
  failureReason: "",
  declineCode: "",
  returnOwed: false,
  returnedRefundId: "",
  revision: 1n,
};

type Draft = Partial<Omit<Entry, "attempts">> & {
  readonly attested?: boolean;
};

function entryOf(intent: Entry["attempts"][number]["intent"], draft: Draft): Entry {
  const { attested = true, ...fields } = draft;
  const cleared = fields.state === "CLEARED" || fields.state === "CORRECTED";
  const attempt: Attempt = {
    intent,
    attestation: attested ? attest(intent) : undefined,
    state: cleared ? "CLEARED" : "PENDING",
    createTimeMs: nowMs,
    commitTimestamp: cleared ? 1n : undefined,
  };
  return {
    entryId: intent.intentId,
    kind: "REFUND",
    state: "PENDING",
    portions: [],
    items: [],
    stripeRefundId: "",
    external: false,
    correctsEntryId: "",
    createTimeMs: nowMs,
    ...fields,
    attempts: [attempt],
  };
}

const purchase = entryOf(purchaseIntent(order), { kind: "PURCHASE", state: "CLEARED" });

function recordOf(...entries: readonly Entry[]): CheckoutRecord {
  return { order, transitions: [], entries: [purchase, ...entries] };
}

/** A refund of the whole bundle that RefundCheckout has stored. */
function refundOf(draft: Draft): Entry {
  const portions = refundOfItems(order, linesOf(recordOf()), order.items);
  return entryOf(refundIntent(order, purchase, portions, issue()), { portions, ...draft });
}

function atStripe(fields: Partial<PaymentRefund> = {}): PaymentRefund {
  return { id: "re_1", status: "succeeded", amount: 750n, currency: "usd", entryId: "", ...fields };
}

const judge = (record: CheckoutRecord, refund: PaymentRefund) =>
  judgeRefund(record, refund, issue());

function newEntryOf(verdict: Verdict): NewEntry {
  const entry = (verdict as Change).newEntry;
  if (entry === undefined) throw new Error(`no entry follows: ${String(verdict)}`);
  return entry;
}

function sumsOf(portions: readonly Portion[]) {
  return portions.map(({ accountId, amount, bearer }) => [accountId, amount, bearer]);
}

describe("a refund that was made at Stripe", () => {
  test.each(["succeeded", "pending", "requires_action"] as const)(
    "and is %s becomes an entry of its own, spread over the goods",
    (status) => {
      const entry = newEntryOf(judge(recordOf(), atStripe({ amount: 101n, status })));

      expect(entry).toMatchObject({
        kind: "REFUND",
        stripeRefundId: "re_1",
        external: true,
        items: [],
      });
      expect(sumsOf(entry.portions)).toEqual([
        [chart.milk, 47n, "OBLIGATION"],
        [chart.eggs, 34n, "OBLIGATION"],
        [chart.bread, 20n, "OBLIGATION"],
      ]);
      checkShape(entry.intent);
      checkPostings(entry.intent, { corrected: purchase.attempts[0]?.intent });
    },
  );

  test.each(["failed", "canceled"] as const)("and is %s has no effect", (status) => {
    expect(judge(recordOf(), atStripe({ status }))).toBe("NOTHING");
  });

  test("is taken in once", () => {
    const known = refundOf({ stripeRefundId: "re_1", external: true, state: "CLEARED" });

    expect(judge(recordOf(known), atStripe())).toBe("NOTHING");
  });

  test("waits while refunds of our own hold what it takes", () => {
    expect(judge(recordOf(refundOf({})), atStripe({ amount: 1n }))).toBe("LATER");
  });

  test("takes what a refund of our own gave up", () => {
    const entry = newEntryOf(judge(recordOf(refundOf({ state: "FAILED" })), atStripe()));

    expect(entryAmount(entry)).toBe(750n);
  });

  test("under the id of an entry that Stripe refused, or of another amount, is one of its own", () => {
    const refused = refundOf({ state: "FAILED" });
    const other = refundOf({ portions: refundOf({}).portions.slice(1) });

    expect(
      newEntryOf(judge(recordOf(refused), atStripe({ entryId: refused.entryId }))).external,
    ).toBe(true);
    expect(
      newEntryOf(judge(recordOf(other), atStripe({ entryId: other.entryId, amount: 300n })))
        .external,
    ).toBe(true);
  });

  test("in another currency is a mistake", () => {
    expect(() => judge(recordOf(), atStripe({ currency: "eur" }))).toThrow(/is in eur/);
  });
});

describe("a refund of our own", () => {
  test("is told its id at Stripe, once", () => {
    const own = refundOf({ attested: false });
    const told = atStripe({ entryId: own.entryId });

    expect(judge(recordOf(own), told)).toEqual({
      entries: [{ entryId: own.entryId, stripeRefundId: "re_1" }],
    });
    expect(judge(recordOf({ ...own, stripeRefundId: "re_1" }), told)).toBe("NOTHING");
  });

  test("that fails before anything is attested has failed", () => {
    const own = refundOf({ attested: false });

    expect(judge(recordOf(own), atStripe({ entryId: own.entryId, status: "failed" }))).toEqual({
      entries: [{ entryId: own.entryId, state: "FAILED", stripeRefundId: "re_1" }],
    });
  });

  test("that fails while Clearing may have it clears first", () => {
    const own = refundOf({ stripeRefundId: "re_1" });

    expect(judge(recordOf(own), atStripe({ status: "failed" }))).toBe("LATER");
  });

  test("that fails after it cleared is corrected, once", () => {
    const own = refundOf({ stripeRefundId: "re_1", state: "CLEARED" });
    const failed = atStripe({ status: "failed" });
    const entry = newEntryOf(judge(recordOf(own), failed));

    expect(entry).toMatchObject({
      kind: "CORRECTION",
      portions: own.portions,
      stripeRefundId: "",
      external: false,
      correctsEntryId: own.entryId,
    });
    checkShape(entry.intent);
    checkPostings(entry.intent, {});
    const correction = entryOf(entry.intent, { ...entry, state: "PENDING" });
    expect(judge(recordOf(own, correction), failed)).toBe("NOTHING");
  });

  test.each<EntryState>(["FAILED", "CORRECTED"])("that fails and is %s stays so", (state) => {
    const own = refundOf({ stripeRefundId: "re_1", state });

    expect(judge(recordOf(own), atStripe({ status: "canceled" }))).toBe("NOTHING");
  });
});
