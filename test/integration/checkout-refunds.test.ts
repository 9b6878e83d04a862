// Goal: what goes back to shoppers, and what is handed over to them, is in the books to the cent, once, whoever asks
// for it, however many at once, and whatever Stripe makes of it.
// Method: the core of Checkout on real PostgreSQL, with the real Attestor and Clearing, and the simulator of Stripe.
// After every case the books are held against Stripe's money and against what the orders still owe; an audit of it all
// comes last.
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { newUuidV7 } from "#common/uuid.ts";
import type { ItemEntry } from "../../services/checkout/order/enter-items.ts";
import { linesOf } from "../../services/checkout/order/lines.ts";
import {
  type CheckoutRecord,
  type Entry,
  entryAmount,
  type Item,
} from "../../services/checkout/order/record.ts";
import { type CheckoutCoreWorld, startCheckoutCoreWorld } from "../support/checkout/core-world.ts";
import { chart, operator, soon } from "../support/clearing/world.ts";
import { engines } from "../support/ledger/tigerbeetle.ts";

const losses = 7_000_002n;
const goods = [chart.milk, chart.eggs, chart.bread];

let world: CheckoutCoreWorld;

beforeAll(async () => {
  const embedded = engines.find(({ name }) => name === "embedded");
  if (embedded === undefined) throw new Error("there is no embedded engine");
  world = await startCheckoutCoreWorld(embedded);
});
afterAll(async () => {
  await world?.stop();
});

afterEach(async () => {
  world.sim.control.clearFaults();
  const { ledger, stripe } = await world.settlement();
  expect(ledger).toBe(stripe);
  const records = await world.store.list(
    { merchantId: "", wallet: "", state: undefined },
    undefined,
    1_000,
  );
  const cleared = records.filter(({ entries }) => entries[0]?.state === "CLEARED");
  expect(cleared.flatMap(pendingOf)).toEqual([]);
  const lines = cleared.flatMap(linesOf);
  expect(lines.filter((line) => line.refundedFromLosses > line.fulfilled)).toEqual([]);
  for (const accountId of goods) {
    const owed = lines
      .filter((line) => line.accountId === accountId)
      .reduce((sum, line) => sum + line.owed, 0n);
    expect(await world.available(accountId)).toBe(owed);
  }
});

function pendingOf({ entries }: CheckoutRecord): Entry[] {
  return entries.filter(({ state }) => state === "PENDING");
}

const one = (sku: string): Item[] => [{ sku, quantity: 1 }];

function request({ order }: CheckoutRecord, items: readonly Item[], intentId = newUuidV7()) {
  const { merchantId, orderId, wallet } = order;
  return { merchantId, orderId, wallet, items, intentId, amount: undefined, caller: operator };
}

function refund(record: CheckoutRecord, items: readonly Item[], intentId?: string) {
  return world.refunds.refund(request(record, items, intentId), soon());
}

function refundAmount(record: CheckoutRecord, amount: bigint, intentId?: string) {
  return world.refunds.refund({ ...request(record, [], intentId), amount }, soon());
}

function fulfil(record: CheckoutRecord, items: readonly Item[], intentId?: string) {
  return world.fulfilments.fulfil(request(record, items, intentId), soon());
}

function sync({ order }: CheckoutRecord): Promise<CheckoutRecord> {
  return world.refunds.syncFromStripe(order.intentId, soon());
}

/** A refund from Stripe's dashboard. */
function dashboard({ order }: CheckoutRecord, amount?: number, metadata = {}) {
  const payment_intent = order.paymentIntentId;
  return world.stripe.refunds.create({
    payment_intent,
    metadata,
    ...(amount === undefined ? {} : { amount }),
  });
}

async function read({ order }: CheckoutRecord): Promise<CheckoutRecord> {
  return world.settler.settle(order.intentId, soon());
}

/** Refunds as [amount, state, external], in cents. */
function refundsOf({ entries }: CheckoutRecord) {
  return entries
    .filter(({ kind }) => kind === "REFUND")
    .map((entry) => [entryAmount(entry), entry.state, entry.external]);
}

function borneBy({ entry }: ItemEntry, bearer: "OBLIGATION" | "LOSSES"): bigint {
  return entryAmount({ portions: entry.portions.filter((portion) => portion.bearer === bearer) });
}

async function kindOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return { kind: error.kind, ...error.metadata };
  }
}

/** Outcomes of a race: how many of each. */
function tally(results: readonly PromiseSettledResult<ItemEntry>[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const result of results) {
    if (result.status === "rejected" && !(result.reason instanceof DomainError))
      throw result.reason;
    const name = result.status === "rejected" ? result.reason.kind : result.value.entry.state;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

describe("a refund by items", () => {
  test("goes back to the card, from what was owed", async () => {
    const record = await world.buy([{ sku: "BUNDLE", quantity: 2 }]);
    const made = await refund(record, one("BUNDLE"));

    expect(made.entry).toMatchObject({ state: "CLEARED", external: false });
    expect(made.record.order.state).toBe("PARTLY_REFUNDED");
    const atStripe = await world.stripe.refunds.retrieve(made.entry.stripeRefundId);
    expect(atStripe).toMatchObject({ amount: 750, status: "succeeded" });
    expect(await world.available(walletAccountId(record.order.wallet, 1))).toBe(0n);

    expect((await refund(record, one("BUNDLE"))).record.order.state).toBe("REFUNDED");
  });

  test("goes back to the wallet's balance, and Stripe has nothing to do with it", async () => {
    const record = await world.buy(one("EGGS"), "BALANCE");
    const { entry, record: after } = await refund(record, one("EGGS"));

    expect(entry).toMatchObject({ state: "CLEARED", stripeRefundId: "" });
    expect(after.order.state).toBe("REFUNDED");
    expect(await world.available(walletAccountId(record.order.wallet, 1))).toBe(250n);
    expect((await sync(record)).order.revision).toBe(after.order.revision);
  });

  test("asked twice with its id is one refund; with other content it is refused", async () => {
    const record = await world.buy([{ sku: "MILK", quantity: 2 }, ...one("EGGS")]);
    const intentId = newUuidV7();
    const items = [...one("MILK"), ...one("EGGS")];
    const first = await refund(record, items, intentId);
    const again = await refund(record, items.toReversed(), intentId);

    expect(again).toEqual(first);
    expect(await kindOf(refund(record, one("MILK"), intentId))).toEqual({
      kind: "INTENT_ID_REUSED",
      intentId,
    });
    expect(await kindOf(fulfil(record, items, intentId))).toMatchObject({
      kind: "INTENT_ID_REUSED",
    });
    expect(await kindOf(refund(record, items, record.order.intentId))).toMatchObject({
      kind: "INTENT_ID_REUSED",
    });
    const other = await world.buy(one("MILK"));
    expect(await kindOf(refund(other, one("MILK"), intentId))).toMatchObject({
      kind: "INTENT_ID_REUSED",
    });
    expect(refundsOf(await read(record))).toEqual([[600n, "CLEARED", false]]);
  });

  test("takes its id: a checkout with the same one is refused with it", async () => {
    const record = await world.buy(one("MILK"));
    const intentId = newUuidV7();
    await refund(record, one("MILK"), intentId);
    const asked = {
      ...record.order,
      intentId,
      orderId: "another",
      expectedAmount: undefined,
      walletSignature: "",
      burnPoscr: false,
    };

    expect(await kindOf(world.checkouts.create(asked, operator, soon()))).toEqual({
      kind: "INTENT_ID_REUSED",
      intentId,
    });
  });

  test("of an order that is unknown, unpaid or without the item is refused", async () => {
    const record = await world.buy(one("MILK"));
    const unpaid = await world.pay(one("MILK"));

    expect(
      await kindOf(
        world.refunds.refund({ ...request(record, one("MILK")), orderId: "none" }, soon()),
      ),
    ).toEqual({ kind: "CHECKOUT_NOT_FOUND", merchantId: "market-1", orderId: "none" });
    const { orderId } = unpaid.order;
    expect(await kindOf(refund(unpaid, one("MILK")))).toEqual({ kind: "NOT_REFUNDABLE", orderId });
    expect(await kindOf(fulfil(unpaid, one("MILK")))).toEqual({ kind: "NOT_FULFILLABLE", orderId });
    expect(await kindOf(refund(record, one("BREAD")))).toMatchObject({ refundable: "0" });
    await read(unpaid);
  });

  test("of an amount gives back what a dashboard and items have left, and its id stands for it alone", async () => {
    const record = await world.buy(one("BUNDLE"));
    await dashboard(record, 343);
    await sync(record);
    expect(await kindOf(refund(record, one("BUNDLE")))).toMatchObject({ kind: "NOT_REFUNDABLE" });

    const intentId = newUuidV7();
    const made = await refundAmount(record, 7n, intentId);
    expect((await refundAmount(record, 7n, intentId)).entry).toEqual(made.entry);
    for (const another of [
      refundAmount(record, 8n, intentId),
      refund(record, one("BUNDLE"), intentId),
    ]) {
      expect(await kindOf(another)).toEqual({ kind: "INTENT_ID_REUSED", intentId });
    }
    expect(await kindOf(refundAmount(record, 401n))).toMatchObject({ kind: "NOT_REFUNDABLE" });
    await refundAmount(record, 400n);
    const settled = await read(record);
    expect(refundsOf(settled).map(([amount, state]) => [amount, state])).toEqual([
      [343n, "CLEARED"],
      [7n, "CLEARED"],
      [400n, "CLEARED"],
    ]);
    expect(settled.order.state).toBe("REFUNDED");
  });

  test("is one of a thousand at most", async () => {
    const record = await world.buy([{ sku: "MILK", quantity: 2 }]);
    await world.addFailedRefunds(record, 999);

    expect((await refund(record, one("MILK"))).entry.state).toBe("CLEARED");
    expect(await kindOf(refund(record, one("MILK")))).toEqual({
      kind: "LIMIT_EXCEEDED",
      limit: "1000",
      what: "refunds per checkout",
    });
    // What Stripe gave back is taken in all the same: the money is gone.
    await dashboard(record);
    expect((await sync(record)).order.state).toBe("REFUNDED");
  });

  test("is never more than was paid, whoever is first", async () => {
    const record = await world.buy([{ sku: "MILK", quantity: 3 }]);
    const asked = Array.from({ length: 20 }, () => refund(record, one("MILK")));

    expect(tally(await Promise.allSettled(asked))).toEqual({ CLEARED: 3, NOT_REFUNDABLE: 17 });
    expect((await read(record)).order.state).toBe("REFUNDED");
  });

  test("asked twenty times at once with one id is one", async () => {
    const record = await world.buy([{ sku: "MILK", quantity: 3 }]);
    const intentId = newUuidV7();
    const asked = Array.from({ length: 20 }, () => refund(record, one("MILK"), intentId));
    const made = await Promise.all(asked);

    expect(new Set(made.map(({ entry }) => entry.entryId))).toEqual(new Set([intentId]));
    expect(refundsOf(await read(record))).toEqual([[350n, "CLEARED", false]]);
  });

  // The SDK itself comes back once after a connection that was cut.
  test.each([
    ["error_500", 1],
    ["cut_before", 2],
    ["cut_after", 2],
  ] as const)("goes on by itself after %s at Stripe, once", async (kind, times) => {
    const record = await world.buy(one("BREAD"));
    world.sim.control.failCalls({ kind, times, method: "POST", path: "/v1/refunds" });
    const made = await refund(record, one("BREAD"));

    expect(made.entry).toMatchObject({ state: "PENDING", stripeRefundId: "" });
    expect(await kindOf(refund(record, one("BREAD")))).toMatchObject({ kind: "NOT_REFUNDABLE" });
    expect(refundsOf(await read(record))).toEqual([[150n, "CLEARED", false]]);
  });
});

describe("a fulfilment", () => {
  test("moves what was owed to the honoring agent, once", async () => {
    const record = await world.buy([{ sku: "BUNDLE", quantity: 2 }]);
    const before = await world.available(chart.instacart);
    const intentId = newUuidV7();
    const made = await fulfil(record, one("BUNDLE"), intentId);

    expect(made.entry).toMatchObject({ kind: "FULFILMENT", state: "CLEARED" });
    expect(made.record.order.state).toBe("CLEARED");
    expect(await fulfil(record, one("BUNDLE"), intentId)).toEqual(made);
    expect((await world.available(chart.instacart)) - before).toBe(750n);
  });

  test("and refunds at once never hand over and give back the same", async () => {
    const record = await world.buy([{ sku: "MILK", quantity: 4 }]);
    const asked = Array.from({ length: 8 }, () => [
      fulfil(record, one("MILK")),
      refund(record, one("MILK")),
    ]);
    await Promise.allSettled(asked.flat());
    const after = await read(record);
    const [line] = linesOf(after);

    expect(line).toMatchObject({ refundable: 0n, owed: 0n });
    expect(line?.refundedFromLosses).toBeLessThanOrEqual(line?.fulfilled ?? 0n);
  });

  test("makes LOSSES bear what is refunded afterwards", async () => {
    const before = await world.available(losses);
    const record = await world.buy([{ sku: "BUNDLE", quantity: 2 }]);
    await fulfil(record, one("BUNDLE"));
    const made = await refund(record, [{ sku: "BUNDLE", quantity: 2 }]);

    expect(borneBy(made, "OBLIGATION")).toBe(750n);
    expect(borneBy(made, "LOSSES")).toBe(750n);
    expect(before - (await world.available(losses))).toBe(750n);
    expect(await kindOf(fulfil(record, one("BUNDLE")))).toMatchObject({
      kind: "NOT_FULFILLABLE",
      sku: "BUNDLE",
      fulfillable: "0",
    });
  });
});

describe("a refund from the dashboard", () => {
  test("of any cents is taken in once, however often it is told", async () => {
    const record = await world.buy(one("BUNDLE"));
    for (const amount of [1, 2, 101, 333]) await dashboard(record, amount);
    const told = await Promise.all(Array.from({ length: 8 }, () => sync(record)));

    expect(new Set(told.map(({ order }) => order.state))).toEqual(new Set(["PARTLY_REFUNDED"]));
    await dashboard(record);
    const after = await sync(record);
    expect(refundsOf(after)).toEqual(
      [1n, 2n, 101n, 333n, 313n].map((amount) => [amount, "CLEARED", true]),
    );
    expect(after.order.state).toBe("REFUNDED");
  });

  test("by single cents empties every good exactly", async () => {
    const record = await world.buy(one("BREAD"));
    await fulfil(record, one("BREAD"));
    for (let cent = 0; cent < 5; cent += 1) await dashboard(record, 1);
    await dashboard(record);
    const after = await sync(record);

    expect(linesOf(after)[0]).toMatchObject({ refundedFromLosses: 150n, refundable: 0n });
    expect(after.order.state).toBe("REFUNDED");
  });

  test("takes what a refund of ours holds that Stripe has not got yet", async () => {
    const record = await world.buy(one("BUNDLE"));
    world.sim.control.failCalls({ kind: "error_500", method: "POST", path: "/v1/refunds" });
    const own = await refund(record, one("BUNDLE"));
    expect(own.entry.state).toBe("PENDING");
    await dashboard(record, 1);
    const after = await sync(record);

    expect(refundsOf(after)).toEqual([
      [750n, "FAILED", false],
      [1n, "CLEARED", true],
    ]);
    expect(after.order.state).toBe("PARTLY_REFUNDED");
  });

  test("races with our own, and both end in the books as Stripe has them", async () => {
    const record = await world.buy([{ sku: "BUNDLE", quantity: 3 }]);
    const work: Promise<unknown>[] = [];
    for (let turn = 0; turn < 4; turn += 1) {
      work.push(refund(record, one("BUNDLE")), dashboard(record, 301), sync(record));
    }
    await Promise.allSettled(work);
    await read(record);
    const after = await sync(record);

    const { data } = await world.stripe.refunds.list({
      payment_intent: record.order.paymentIntentId,
    });
    const booked = after.entries.filter(
      ({ kind, state }) => kind === "REFUND" && state === "CLEARED",
    );
    expect(booked.map(({ stripeRefundId }) => stripeRefundId).toSorted()).toEqual(
      data.map(({ id }) => id).toSorted(),
    );
  });

  test("before we heard of the payment clears the purchase first", async () => {
    const record = await world.pay(one("MILK"));
    await dashboard(record, 100);
    const after = await sync(record);

    expect(after.order.state).toBe("PARTLY_REFUNDED");
    expect(refundsOf(after)).toEqual([[100n, "CLEARED", true]]);
  });

  test("that names one of our refunds for another amount is one of its own", async () => {
    const record = await world.buy(one("BUNDLE"));
    world.sim.control.failCalls({ kind: "error_500", method: "POST", path: "/v1/refunds" });
    const { entry } = await refund(record, one("BUNDLE"));
    await dashboard(record, 5, { intent_id: entry.entryId });
    await sync(record);

    const after = await read(record);
    const booked = after.entries.filter(
      ({ state, kind }) => kind === "REFUND" && state === "CLEARED",
    );
    expect(booked.map(entryAmount)).toEqual([5n]);
  });
});

describe("a payment that bought nothing", () => {
  /** Somebody lowered the amount at Stripe before the shopper paid. */
  const payTooLittle = async () => {
    const record = await world.pay(one("MILK"), "CARD", { confirm: false });
    const { paymentIntentId } = record.order;
    await world.stripe.paymentIntents.update(paymentIntentId, { amount: 349 });
    await world.confirm(record);
    return record;
  };

  test("goes back whole and is in no books", async () => {
    const record = await payTooLittle();
    const failed = await read(record);
    const after = await sync(record);

    expect(failed.order).toMatchObject({ state: "FAILED", failureReason: "AMOUNT_MISMATCH" });
    expect(failed.order.returnedRefundId).toMatch(/^re_/);
    expect(after).toEqual(failed);
    expect(refundsOf(after)).toEqual([]);
  });

  test.each([
    ["in part", 100],
    ["whole", 349],
  ])("goes back whole also if the dashboard was faster %s", async (_name, amount) => {
    const record = await payTooLittle();
    await dashboard(record, amount);
    const after = await sync(record);

    expect(after.order).toMatchObject({ state: "FAILED", returnOwed: false });
    const { data } = await world.stripe.refunds.list({
      payment_intent: record.order.paymentIntentId,
    });
    expect(data.reduce((sum, made) => sum + made.amount, 0)).toBe(349);
  });

  test("goes back whole also if a refund from the dashboard fails later", async () => {
    const record = await payTooLittle();
    const { id } = await dashboard(record, 100);
    await sync(record);
    world.sim.control.failRefund(id);
    const after = await sync(record);

    expect(after.order).toMatchObject({ state: "FAILED", returnOwed: false });
    const { data } = await world.stripe.refunds.list({
      payment_intent: record.order.paymentIntentId,
    });
    const amounts = data.map(({ amount, status }) => [amount, status]);
    expect(amounts).toEqual([
      [100, "succeeded"],
      [249, "succeeded"],
      [100, "failed"],
    ]);
    expect(await sync(record)).toEqual(after);
  });

  test("and whose refund fails later is told to an operator once, and given back by hand", async () => {
    const record = await payTooLittle();
    const { order } = await read(record);
    expect(world.alarms).not.toContainEqual(["NOT_RETURNED", order.intentId]);
    world.sim.control.failRefund(order.returnedRefundId);
    const after = await sync(record);

    expect(after.order).toMatchObject({ state: "FAILED", returnOwed: false });
    expect(after.transitions.at(-1)?.cause).toBe("Stripe refuses to give back 3.49 USD");
    expect(await sync(record)).toEqual(after);
    await dashboard(record);
    expect(await sync(record)).toEqual(after);
    expect(world.alarms.filter(([, intentId]) => intentId === order.intentId)).toEqual([
      ["NOT_RETURNED", order.intentId],
    ]);
  });
});

test("a checkout that does not come on is overdue from when its time was up", async () => {
  const record = await world.pay(one("MILK"), "CARD", { confirm: false });
  expect(await world.store.readOverdue(60_000)).toEqual({ count: 0, oldestMs: 0 });
  await world.setOverdue(record, 3_600_000);

  const { count, oldestMs } = await world.store.readOverdue(60_000);
  expect(count).toBe(1);
  expect(oldestMs).toBeGreaterThanOrEqual(3_600_000);
  const [due] = await world.store.claimDue(10);
  expect(due?.intentId).toBe(record.order.intentId);
  expect(due?.overdueMs).toBeGreaterThanOrEqual(3_600_000);
  expect(due?.overdueMs).toBeLessThan(3_660_000);
  expect((await read(record)).order.state).toBe("CANCELLED");
  expect((await world.store.readOverdue(0)).count).toBe(0);
});

describe("a refund that Stripe cannot pay", () => {
  test("after it cleared is corrected: the goods are owed again, and may be refunded again", async () => {
    const record = await world.buy(one("BUNDLE"));
    const { entry } = await refund(record, one("BUNDLE"));
    world.sim.control.failRefund(entry.stripeRefundId);
    const told = await Promise.all(Array.from({ length: 8 }, () => sync(record)));

    const after = await sync(record);
    expect(new Set(told.map(({ order }) => order.state))).toEqual(new Set(["CLEARED"]));
    expect(after.entries.map(({ kind, state }) => [kind, state])).toEqual([
      ["PURCHASE", "CLEARED"],
      ["REFUND", "CORRECTED"],
      ["CORRECTION", "CLEARED"],
    ]);
    expect((await refund(record, one("BUNDLE"))).record.order.state).toBe("REFUNDED");
  });

  test("is taken back from LOSSES where LOSSES bore it", async () => {
    const record = await world.buy([{ sku: "MILK", quantity: 2 }]);
    await fulfil(record, one("MILK"));
    const before = await world.available(losses);
    await dashboard(record, 500);
    const [external] = (await sync(record)).entries.filter(({ kind }) => kind === "REFUND");
    expect(await world.available(losses)).toBe(before - 150n);
    world.sim.control.failRefund(external?.stripeRefundId ?? "");
    const after = await sync(record);

    expect(await world.available(losses)).toBe(before);
    expect(after.order.state).toBe("CLEARED");
    expect(refundsOf(after)).toEqual([[500n, "CORRECTED", true]]);
  });

  test("makes room for the one that replaces it, told together", async () => {
    const record = await world.buy(one("EGGS"));
    const { entry } = await refund(record, one("EGGS"));
    world.sim.control.failRefund(entry.stripeRefundId);
    await dashboard(record);
    const after = await sync(record);

    expect(refundsOf(after)).toEqual([
      [250n, "CORRECTED", false],
      [250n, "CLEARED", true],
    ]);
    expect(after.order.state).toBe("REFUNDED");
  });

  test("from a card whose refunds are pending, then fail", async () => {
    world.sim.control.setFaults({ refunds: "pending_then_fail" });
    const record = await world.buy(one("MILK"));
    const made = await refund(record, one("MILK"));
    expect(made.entry.state).toBe("CLEARED");
    expect(await world.sim.control.idle(20_000)).toBe(true);

    expect(refundsOf(await sync(record))).toEqual([[350n, "CORRECTED", false]]);
  });
});

const kinds = ["refund", "fulfil", "dashboard", "fail", "sync", "settle"] as const;
const happening = fc.record({
  kind: fc.constantFrom(...kinds),
  order: fc.nat({ max: 2 }),
  sku: fc.constantFrom("BUNDLE", "MILK"),
  amount: fc.integer({ min: 1, max: 400 }),
});
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

function recordAt(records: readonly CheckoutRecord[], index: number): CheckoutRecord {
  const record = records[index];
  if (record === undefined) throw new RangeError(`there is no order ${index}`);
  return record;
}

async function happen(record: CheckoutRecord, { kind, sku, amount }: Happening): Promise<unknown> {
  switch (kind) {
    case "refund":
      return refund(record, one(sku));
    case "fulfil":
      return fulfil(record, one(sku));
    case "dashboard":
      return dashboard(record, amount);
    case "fail": {
      const payment_intent = record.order.paymentIntentId;
      const { data } = await world.stripe.refunds.list({ payment_intent });
      const made = data[amount % (data.length + 1)];
      return made && world.sim.control.failRefund(made.id);
    }
    case "sync":
      return sync(record);
    default:
      return read(record);
  }
}

test("whatever comes at once, over a bad line, the books end as Stripe's", async () => {
  const items = [...one("MILK"), { sku: "BUNDLE", quantity: 3 }];
  const records = [await world.buy(items), await world.buy(items), await world.pay(items)];
  for (const kind of ["error_500", "cut_before", "cut_after"] as const) {
    world.sim.control.failCalls({ kind, times: 1_000, rate: 0.05 });
  }
  const happenings = fc.sample(happening, { numRuns: 60, seed: 8 });
  const results = await Promise.allSettled(
    happenings.map((each) => happen(recordAt(records, each.order), each)),
  );
  const refusals = results.filter(({ status }) => status === "rejected");
  expect(refusals.length).toBeLessThan(happenings.length);
  world.sim.control.clearFaults();

  // What a lost webhook leaves undone, the next look does.
  for (const record of records) {
    await read(record);
    const { order, entries } = await sync(record);
    const { data } = await world.stripe.refunds.list({ payment_intent: order.paymentIntentId });
    const paid = data.filter(({ status }) => status === "succeeded").map(({ id }) => id);
    const booked = entries.filter(({ kind, state }) => kind === "REFUND" && state === "CLEARED");
    expect(booked.map(({ stripeRefundId }) => stripeRefundId).toSorted()).toEqual(paid.toSorted());
  }
});

test("an audit of all that finds nothing", async () => {
  expect(await world.audit()).toEqual([]);
});
