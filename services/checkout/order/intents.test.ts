import { describe, expect, test } from "vitest";
import { zeroWallet } from "#common/address.ts";
import type { Intent } from "#common/intent/intent.ts";
import { postingCodes } from "#common/intent/posting-codes.ts";
import { type Authority, checkPostings } from "#common/intent/posting-rules.ts";
import { checkShape } from "#common/intent/rules.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { isUuidV7, newUuidV7 } from "#common/uuid.ts";
import { alice, attest, chart, usd } from "../../../test/support/intents/intents.ts";
import {
  correctionIntent,
  fulfilmentIntent,
  purchaseIntent,
  refundIntent,
  successorOf,
} from "./intents.ts";
import type { Entry, Order, PaymentMethod, Portion } from "./record.ts";

const wallet = walletAccountId(alice.address, usd);
const nowMs = Date.UTC(2026, 10, 24, 12, 0, 0, 789);
const now = BigInt(Math.floor(nowMs / 1_000));
const house: Authority = { wallet: false, house: true };

function orderOf(paymentMethod: PaymentMethod, lifetimeMs = 1_800_000) {
  return {
    intentId: newUuidV7(nowMs),
    merchantId: "market-1",
    orderId: "A-17",
    wallet: alice.address,
    ledger: usd,
    paymentMethod,
    items: [
      { sku: "BUNDLE", quantity: 2 },
      { sku: "BREAD", quantity: 1 },
      { sku: "MILK", quantity: 3 },
    ],
    createTimeMs: nowMs,
    expireTimeMs: nowMs + lifetimeMs,
  } satisfies Partial<Order>;
}

const issue = () => ({ intentId: newUuidV7(nowMs), nowMs });

function portion(accountId: bigint, amount: bigint, bearer: Portion["bearer"] = "OBLIGATION") {
  return { sku: "BUNDLE", accountId, amount, bearer };
}

/** An entry whose intent cleared. */
function cleared(kind: Entry["kind"], intent: Intent, portions: readonly Portion[] = []): Entry {
  return {
    entryId: intent.intentId,
    kind,
    state: "CLEARED",
    portions,
    items: [],
    stripeRefundId: "",
    external: false,
    correctsEntryId: "",
    createTimeMs: nowMs,
    attempts: [
      {
        intent,
        attestation: attest(intent),
        state: "CLEARED",
        createTimeMs: nowMs,
        commitTimestamp: 1n,
      },
    ],
  };
}

/** What the Attestor and Clearing judge first. */
function judge(intent: Intent, corrected?: Intent): Authority {
  checkShape(intent);
  return checkPostings(intent, { corrected });
}

function moves(intent: Intent) {
  return intent.postings.map(({ debitAccountId, creditAccountId, amount, code }) => [
    debitAccountId,
    creditAccountId,
    amount,
    code,
  ]);
}

const { FUNDING, PURCHASE, FULFILMENT, REFUND, ADJUSTMENT } = postingCodes;

describe("a purchase", () => {
  const goods = [
    [wallet, chart.milk, 5n * 350n, PURCHASE],
    [wallet, chart.eggs, 2n * 250n, PURCHASE],
    [wallet, chart.bread, 3n * 150n, PURCHASE],
  ];

  test("by card is funded first, whole, and is a house entry", () => {
    const order = orderOf("CARD");
    const intent = purchaseIntent(order);

    expect(moves(intent)).toEqual([[chart.stripe, wallet, 2_700n, FUNDING], ...goods]);
    expect(judge(intent)).toEqual(house);
    expect(intent).toMatchObject({
      intentId: order.intentId,
      wallet: alice.address,
      merchantId: "market-1",
      reference: "A-17",
      issueTime: now,
      expireTime: now + 3_600n,
    });
  });

  test("from the balance is the wallet's alone, and expires with the order", () => {
    const intent = purchaseIntent(orderOf("BALANCE"));

    expect(moves(intent)).toEqual(goods);
    expect(judge(intent)).toEqual({ wallet: true, house: false });
    expect(intent.expireTime).toBe(now + 1_800n);
  });

  test.each([
    [1_000, 2n],
    [43_200_000, 86_400n],
    [50_000_000, 86_400n],
  ])("by card, waited for %i ms, lives %i s", (lifetimeMs, seconds) => {
    const intent = purchaseIntent(orderOf("CARD", lifetimeMs));

    expect(intent.expireTime - intent.issueTime).toBe(seconds);
    expect(judge(intent)).toEqual(house);
  });

  test("holds no posting for a good that nobody buys", () => {
    const intent = purchaseIntent({ ...orderOf("CARD"), items: [{ sku: "EGGS", quantity: 1 }] });

    expect(moves(intent)).toEqual([
      [chart.stripe, wallet, 250n, FUNDING],
      [wallet, chart.eggs, 250n, PURCHASE],
    ]);
  });

  test("of what is no product is refused", () => {
    const order = { ...orderOf("CARD"), items: [{ sku: "CAKE", quantity: 1 }] };

    expect(() => purchaseIntent(order)).toThrow(RangeError);
  });
});

describe("a refund", () => {
  const portions = [
    portion(chart.bread, 1n, "LOSSES"),
    portion(chart.bread, 149n),
    portion(chart.milk, 350n),
    portion(chart.milk, 350n),
    portion(chart.eggs, 250n, "LOSSES"),
  ];
  const toWallet = [
    [chart.milk, wallet, 700n, REFUND],
    [chart.bread, wallet, 149n, REFUND],
    [chart.losses, wallet, 251n, REFUND],
  ];

  test("to a card goes on to STRIPE_SETTLEMENT and corrects the purchase", () => {
    const order = orderOf("CARD");
    const purchase = purchaseIntent(order);
    const intent = refundIntent(order, cleared("PURCHASE", purchase), portions, issue());

    expect(moves(intent)).toEqual([...toWallet, [wallet, chart.stripe, 1_100n, REFUND]]);
    expect(judge(intent, purchase)).toEqual(house);
    expect(intent).toMatchObject({
      wallet: alice.address,
      reference: "A-17",
      corrects: attest(purchase).digest,
      issueTime: now,
      expireTime: now + 3_600n,
    });
  });

  test("to a balance ends in the wallet", () => {
    const order = orderOf("BALANCE");
    const purchase = purchaseIntent(order);
    const intent = refundIntent(order, cleared("PURCHASE", purchase), portions, issue());

    expect(moves(intent)).toEqual(toWallet);
    expect(judge(intent, purchase)).toEqual(house);
  });

  test("corrects the attempt that cleared, not one that died", () => {
    const order = orderOf("CARD");
    const dead = purchaseIntent(order);
    const successor = successorOf(dead, nowMs);
    const entry = cleared("PURCHASE", successor);
    const attempts = [
      { ...entry.attempts[0], intent: dead, state: "DEAD" } as Entry["attempts"][number],
      ...entry.attempts,
    ];
    const intent = refundIntent(order, { ...entry, attempts }, portions, issue());

    expect(intent.corrects).toBe(attest(successor).digest);
  });

  test("of a purchase that has not cleared is a mistake", () => {
    const order = orderOf("CARD");
    const entry = { ...cleared("PURCHASE", purchaseIntent(order)), attempts: [] };

    expect(() => refundIntent(order, entry, portions, issue())).toThrow(/has not cleared/);
  });
});

test("a correction takes a refund back from STRIPE_SETTLEMENT, account by account", () => {
  const order = orderOf("CARD");
  const purchase = cleared("PURCHASE", purchaseIntent(order));
  const portions = [
    portion(chart.eggs, 100n, "LOSSES"),
    portion(chart.bread, 20n),
    portion(chart.milk, 3n),
  ];
  const refund = refundIntent(order, purchase, portions, issue());
  const intent = correctionIntent(order, cleared("REFUND", refund, portions), issue());

  expect(moves(intent)).toEqual([
    [chart.stripe, chart.milk, 3n, ADJUSTMENT],
    [chart.stripe, chart.bread, 20n, ADJUSTMENT],
    [chart.stripe, chart.losses, 100n, ADJUSTMENT],
  ]);
  expect(judge(intent, refund)).toEqual(house);
  expect(intent).toMatchObject({ wallet: zeroWallet, corrects: attest(refund).digest });
});

test("a fulfilment moves each good to the honoring agent", () => {
  const portions = [portion(chart.bread, 150n), portion(chart.milk, 350n)];
  const intent = fulfilmentIntent(orderOf("BALANCE"), portions, chart.instacart, issue());

  expect(moves(intent)).toEqual([
    [chart.milk, chart.instacart, 350n, FULFILMENT],
    [chart.bread, chart.instacart, 150n, FULFILMENT],
  ]);
  expect(judge(intent)).toEqual(house);
  expect(intent).toMatchObject({ wallet: zeroWallet, corrects: "", reference: "A-17" });
});

test("a successor says the same under a new id, for as long", () => {
  const intent = purchaseIntent(orderOf("CARD"));
  const later = nowMs + 10_000_000;
  const successor = successorOf(intent, later);

  expect(successor).toEqual({
    ...intent,
    intentId: successor.intentId,
    issueTime: BigInt(Math.floor(later / 1_000)),
    expireTime: BigInt(Math.floor(later / 1_000)) + 3_600n,
  });
  expect(isUuidV7(successor.intentId)).toBe(true);
  expect(successor.intentId).not.toBe(intent.intentId);
  expect(judge(successor)).toEqual(house);
});
