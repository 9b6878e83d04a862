import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { alice, chart } from "../../../test/support/intents/intents.ts";
import {
  fulfilmentOfItems,
  itemsOf,
  type Line,
  linesOf,
  refundableOf,
  refundOfAmount,
  refundOfItems,
} from "./lines.ts";
import { findProduct, priceOf, products } from "./products.ts";
import {
  type CheckoutRecord,
  type Entry,
  type EntryState,
  entryAmount,
  type Item,
  type Order,
  type Portion,
} from "./record.ts";

type Record = Pick<CheckoutRecord, "order" | "entries">;

function recordOf(items: readonly Item[], entries: readonly Entry[] = []): Record {
  const order: Order = {
    intentId: newUuidV7(),
    merchantId: "market-1",
    orderId: "A-17",
    wallet: alice.address,
    merchantsOwn: false,
    paymentMethod: "CARD",
    items,
    amount: items.reduce((sum, item) => sum + priceOfItem(item), 0n),
    ledger: 1,
    createTimeMs: 0,
    expireTimeMs: 0,
    state: "CLEARED",
    paymentIntentId: "",
    walletSignature: "",
    failureReason: "",
    declineCode: "",
    returnOwed: false,
    returnedRefundId: "",
    revision: 1n,
  };
  return { order, entries };
}

function priceOfItem({ sku, quantity }: Item): bigint {
  const product = findProduct(sku);
  return product === undefined ? 0n : priceOf(product) * BigInt(quantity);
}

function entryOf(
  kind: Entry["kind"],
  portions: readonly Portion[],
  items: readonly Item[] = [],
  state: EntryState = "PENDING",
): Entry {
  return {
    entryId: newUuidV7(),
    kind,
    state,
    portions,
    items,
    stripeRefundId: "",
    external: false,
    correctsEntryId: "",
    createTimeMs: 0,
    attempts: [],
  };
}

/** Decides on a record as it is, and adds what comes of it. */
function refundItems(record: Record, items: readonly Item[], state?: EntryState): Record {
  const portions = refundOfItems(record.order, linesOf(record), items);
  return adding(record, entryOf("REFUND", portions, items, state));
}

function refundAmount(record: Record, amount: bigint, state?: EntryState): Record {
  const portions = refundOfAmount(record.order, linesOf(record), amount);
  return adding(record, entryOf("REFUND", portions, [], state));
}

function fulfil(record: Record, items: readonly Item[], state?: EntryState): Record {
  const portions = fulfilmentOfItems(record.order, linesOf(record), items);
  return adding(record, entryOf("FULFILMENT", portions, items, state));
}

function adding(record: Record, entry: Entry): Record {
  return { ...record, entries: [...record.entries, entry] };
}

function lastPortions({ entries }: Record) {
  return (entries.at(-1)?.portions ?? []).map(({ sku, accountId, amount, bearer }) => [
    sku,
    accountId,
    amount,
    bearer,
  ]);
}

function refusal(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return { kind: error.kind, ...error.metadata };
  }
}

const one = (sku: string): Item[] => [{ sku, quantity: 1 }];

describe("a refund by items", () => {
  test("takes the obligation back of what is not yet handed over", () => {
    const record = refundItems(recordOf([{ sku: "BUNDLE", quantity: 2 }]), one("BUNDLE"));

    expect(lastPortions(record)).toEqual([
      ["BUNDLE", chart.milk, 350n, "OBLIGATION"],
      ["BUNDLE", chart.eggs, 250n, "OBLIGATION"],
      ["BUNDLE", chart.bread, 150n, "OBLIGATION"],
    ]);
    expect(itemsOf(record)).toEqual([
      {
        sku: "BUNDLE",
        quantity: 2,
        amount: 1_500n,
        fulfilledQuantity: 0,
        refundedAmount: 750n,
        state: "OPEN",
      },
    ]);
  });

  test("is borne by LOSSES for what was handed over, and by nothing twice", () => {
    const bought = recordOf([{ sku: "MILK", quantity: 3 }]);
    const record = refundItems(fulfil(bought, [{ sku: "MILK", quantity: 2 }]), [
      { sku: "MILK", quantity: 2 },
    ]);

    expect(lastPortions(record)).toEqual([
      ["MILK", chart.milk, 350n, "OBLIGATION"],
      ["MILK", chart.milk, 350n, "LOSSES"],
    ]);
    expect(itemsOf(record)[0]).toMatchObject({ fulfilledQuantity: 2, state: "PARTLY_FULFILLED" });
    expect(lastPortions(refundItems(record, one("MILK")))).toEqual([
      ["MILK", chart.milk, 350n, "LOSSES"],
    ]);
  });

  test.each<[string, Item[], Item[], unknown]>([
    [
      "more than was bought",
      one("MILK"),
      [{ sku: "MILK", quantity: 2 }],
      { sku: "MILK", refundable: "1" },
    ],
    ["what was not bought", one("MILK"), one("EGGS"), { sku: "EGGS", refundable: "0" }],
    ["what is no product", one("MILK"), one("CAKE"), { sku: "CAKE", refundable: "0" }],
    ["the milk of a bundle", one("BUNDLE"), one("MILK"), { sku: "MILK", refundable: "0" }],
    [
      "more in two lines",
      one("MILK"),
      [...one("MILK"), ...one("MILK")],
      { sku: "MILK", refundable: "1" },
    ],
  ])("of %s is refused", (_name, bought, items, details) => {
    expect(refusal(() => refundItems(recordOf(bought), items))).toEqual({
      kind: "NOT_REFUNDABLE",
      orderId: "A-17",
      ...(details as object),
    });
  });

  test("of units that lack a cent is refused", () => {
    const record = refundAmount(recordOf([{ sku: "BUNDLE", quantity: 2 }]), 1n);

    expect(refusal(() => refundItems(record, [{ sku: "BUNDLE", quantity: 2 }]))).toEqual({
      kind: "NOT_REFUNDABLE",
      orderId: "A-17",
      sku: "BUNDLE",
      refundable: "1",
    });
  });
});

describe("what counts", () => {
  test.each<[EntryState, bigint]>([
    ["PENDING", 0n],
    ["CLEARED", 0n],
    ["FAILED", 350n],
    ["CORRECTED", 350n],
  ])("a refund that is %s leaves %i to refund", (state, left) => {
    const [line] = linesOf(refundItems(recordOf(one("MILK")), one("MILK"), state));

    expect(line).toMatchObject({ refundable: left, owed: left });
  });

  test.each<[EntryState, bigint, number]>([
    ["PENDING", 0n, 1],
    ["CLEARED", 0n, 1],
    ["FAILED", 350n, 0],
  ])("a fulfilment that is %s leaves %i owed", (state, left, fulfilledQuantity) => {
    const record = fulfil(recordOf(one("MILK")), one("MILK"), state);

    expect(linesOf(record)[0]).toMatchObject({ refundable: 350n, owed: left });
    expect(itemsOf(record)[0]).toMatchObject({ fulfilledQuantity });
  });

  test("an order whose prices have changed since is a mistake", () => {
    const { order, entries } = recordOf(one("MILK"));

    expect(() => linesOf({ order: { ...order, amount: 349n }, entries })).toThrow(/no longer cost/);
  });
});

describe("a fulfilment", () => {
  test("moves what is owed of every good", () => {
    const record = fulfil(
      recordOf([{ sku: "BUNDLE", quantity: 2 }, ...one("EGGS")]),
      one("BUNDLE"),
    );

    expect(lastPortions(record)).toEqual([
      ["BUNDLE", chart.milk, 350n, "OBLIGATION"],
      ["BUNDLE", chart.eggs, 250n, "OBLIGATION"],
      ["BUNDLE", chart.bread, 150n, "OBLIGATION"],
    ]);
    expect(itemsOf(fulfil(record, one("BUNDLE"))).map(({ state }) => state)).toEqual([
      "FULFILLED",
      "OPEN",
    ]);
  });

  test.each([
    ["handed over", fulfil(recordOf(one("BUNDLE")), one("BUNDLE"))],
    ["refunded", refundItems(recordOf(one("BUNDLE")), one("BUNDLE"))],
    ["refunded by a cent", refundAmount(recordOf(one("BUNDLE")), 1n)],
    ["not bought", recordOf(one("MILK"))],
  ])("of what is %s is refused", (_name, record) => {
    expect(refusal(() => fulfil(record, one("BUNDLE")))).toEqual({
      kind: "NOT_FULFILLABLE",
      orderId: "A-17",
      sku: "BUNDLE",
      fulfillable: "0",
    });
  });
});

describe("a refund by amount", () => {
  test("is spread in proportion, the last cents by largest remainder", () => {
    const record = refundAmount(recordOf(one("BUNDLE")), 100n);

    // 46.67, 33.33 and 20
    expect(lastPortions(record)).toEqual([
      ["BUNDLE", chart.milk, 47n, "OBLIGATION"],
      ["BUNDLE", chart.eggs, 33n, "OBLIGATION"],
      ["BUNDLE", chart.bread, 20n, "OBLIGATION"],
    ]);
  });

  test("breaks ties by the order of the shelf, whatever the order of the items", () => {
    // Two lines of eggs: the item's own and the bundle's.
    const items = [...one("BUNDLE"), ...one("EGGS")];
    const spread = [items, items.toReversed()].map((each) =>
      lastPortions(refundAmount(recordOf(each), 502n)),
    );

    expect(spread[0]).toEqual(spread[1]);
    // 125.5, 175.7, 125.5 and 75.3: one cent more for the milk, and one for the first eggs
    expect(spread[0]).toEqual([
      ["EGGS", chart.eggs, 126n, "OBLIGATION"],
      ["BUNDLE", chart.milk, 176n, "OBLIGATION"],
      ["BUNDLE", chart.eggs, 125n, "OBLIGATION"],
      ["BUNDLE", chart.bread, 75n, "OBLIGATION"],
    ]);
  });

  test("takes what is owed of a good before LOSSES", () => {
    const record = fulfil(recordOf([{ sku: "MILK", quantity: 2 }]), one("MILK"));

    expect(lastPortions(refundAmount(record, 351n))).toEqual([
      ["MILK", chart.milk, 350n, "OBLIGATION"],
      ["MILK", chart.milk, 1n, "LOSSES"],
    ]);
  });

  test("of more than is refundable is refused", () => {
    const record = refundItems(recordOf([...one("MILK"), ...one("EGGS")]), one("MILK"));

    expect(refusal(() => refundAmount(record, 251n))).toEqual({
      kind: "NOT_REFUNDABLE",
      orderId: "A-17",
    });
    expect(refusal(() => refundAmount(refundAmount(record, 250n), 1n))).toMatchObject({
      kind: "NOT_REFUNDABLE",
    });
  });
});

const skus = products.map(({ sku }) => sku);
const items = fc.uniqueArray(
  fc.record({ sku: fc.constantFrom(...skus), quantity: fc.integer({ min: 1, max: 10_000 }) }),
  { selector: ({ sku }) => sku, minLength: 1, maxLength: skus.length },
);
/** What may happen to an order. Amounts and quantities are parts of a thousand of what is left. */
const step = fc.record({
  kind: fc.constantFrom("refundItems", "refundAmount", "fulfil", "fail", "correct", "clear"),
  sku: fc.constantFrom(...skus),
  part: fc.integer({ min: 1, max: 1_000 }),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Takes a step if it is allowed. */
function take(record: Record, { kind, sku, part }: Step): Record {
  const share = (whole: bigint) => (whole * BigInt(part) + 999n) / 1_000n;
  const bought = record.order.items.find((item) => item.sku === sku)?.quantity ?? 1;
  const some = [{ sku, quantity: Number(share(BigInt(bought))) }];
  const settle = (from: EntryState, to: EntryState) => {
    const entries = record.entries.map((entry) => {
      const hit = entry.state === from && (to !== "CORRECTED" || entry.kind === "REFUND");
      return hit ? { ...entry, state: to } : entry;
    });
    return { ...record, entries };
  };
  try {
    switch (kind) {
      case "refundItems":
        return refundItems(record, some);
      case "refundAmount": {
        const left = refundableOf(linesOf(record));
        return left === 0n ? record : refundAmount(record, share(left));
      }
      case "fulfil":
        return fulfil(record, some);
      case "fail":
        return settle("PENDING", "FAILED");
      case "correct":
        return settle("CLEARED", "CORRECTED");
      default:
        return settle("PENDING", "CLEARED");
    }
  } catch (error) {
    if (error instanceof DomainError) return record;
    throw error;
  }
}

function expectSound(lines: readonly Line[]) {
  for (const line of lines) {
    expect(line.owed).toBeGreaterThanOrEqual(0n);
    expect(line.refundable).toBeGreaterThanOrEqual(0n);
    // What LOSSES have borne was handed over, unless the handing over failed afterwards.
    expect(line.fulfilled + line.refundedFromObligation + line.owed).toBe(line.bought);
    expect(line.refundedFromLosses + line.refundedFromObligation + line.refundable).toBe(
      line.bought,
    );
  }
}

describe("whatever happens to an order", () => {
  const history = fc.tuple(items, fc.array(step, { maxLength: 12 }));

  test("never is more given back or handed over than was bought, of any good", () => {
    fc.assert(
      fc.property(history, ([bought, steps]) => {
        let record = recordOf(bought);
        for (const each of steps) {
          record = take(record, each);
          expectSound(linesOf(record));
          const statuses = itemsOf(record);
          expect(statuses.every((item) => item.fulfilledQuantity <= item.quantity)).toBe(true);
          expect(statuses.every((item) => item.refundedAmount <= item.amount)).toBe(true);
          const paid = statuses.reduce((sum, { amount }) => sum + amount, 0n);
          expect(paid).toBe(record.order.amount);
        }
      }),
    );
  });

  test("an amount is spread exactly, in proportion, and owed goods give first", () => {
    fc.assert(
      fc.property(history, fc.integer({ min: 1, max: 1_000_000 }), ([bought, steps], part) => {
        const record = steps.reduce(take, recordOf(bought));
        const lines = linesOf(record);
        const total = refundableOf(lines);
        if (total === 0n) return;
        const amount = (total * BigInt(part) + 999_999n) / 1_000_000n;
        const portions = refundOfAmount(record.order, lines, amount);

        expect(entryAmount({ portions })).toBe(amount);
        expect(portions.every((portion) => portion.amount > 0n)).toBe(true);
        for (const line of lines) {
          const own = portions.filter(
            ({ sku, accountId }) => sku === line.sku && accountId === line.accountId,
          );
          const share = entryAmount({ portions: own });
          // Within a cent of its proportion, whichever way.
          const exact = amount * line.refundable;
          expect((share - 1n) * total < exact && exact < (share + 1n) * total).toBe(true);
          expect(share).toBeLessThanOrEqual(line.refundable);
          const fromLosses = own.filter(({ bearer }) => bearer === "LOSSES");
          if (fromLosses.length > 0) {
            expect(share - entryAmount({ portions: fromLosses })).toBe(line.owed);
          }
        }
      }),
    );
  });

  test("all of it can be given back, in one piece or cent by cent", () => {
    fc.assert(
      fc.property(history, fc.integer({ min: 1, max: 5 }), ([bought, steps], pieces) => {
        let record = steps.reduce(take, recordOf(bought));
        for (let piece = pieces; piece >= 1; piece -= 1) {
          const left = refundableOf(linesOf(record));
          if (left === 0n) return;
          record = refundAmount(record, piece === 1 ? left : (left + 1n) / BigInt(piece));
        }
        expect(linesOf(record).map(({ refundable }) => refundable)).toEqual(
          linesOf(record).map(() => 0n),
        );
      }),
    );
  });

  test("the order in which it was told does not matter", () => {
    fc.assert(
      fc.property(history, ([bought, steps]) => {
        const record = steps.reduce(take, recordOf(bought));
        const turned: Record = {
          order: { ...record.order, items: record.order.items.toReversed() },
          entries: record.entries.toReversed(),
        };

        expect(linesOf(turned)).toEqual(linesOf(record));
      }),
    );
  });
});
