import { DomainError } from "#common/domain-error.ts";
import { formatAmount } from "#common/ledger/assets.ts";
import { findProduct, products } from "./products.ts";
import type { CheckoutRecord, Entry, Item, Order, Portion } from "./record.ts";

/** One good of one item: what was bought of it and what became of that. Minor units. */
export interface Line {
  readonly sku: string;
  /** The obligation's account of the good. */
  readonly accountId: bigint;
  /** For one unit of the item. */
  readonly unitAmount: bigint;
  readonly bought: bigint;
  /** What was handed over, or is about to be. */
  readonly fulfilled: bigint;
  /** What was given back, or is about to be, and who bears it. */
  readonly refundedFromObligation: bigint;
  readonly refundedFromLosses: bigint;
  /** Bought, and neither handed over nor given back from the obligation. */
  readonly owed: bigint;
  /** Bought and not given back. */
  readonly refundable: bigint;
}

export type ItemState = "OPEN" | "PARTLY_FULFILLED" | "FULFILLED";

/** An item of an order and what became of it. */
export interface ItemStatus {
  readonly sku: string;
  readonly quantity: number;
  /** Minor units. */
  readonly amount: bigint;
  readonly fulfilledQuantity: number;
  /** What was given back or is about to be, minor units. */
  readonly refundedAmount: bigint;
  readonly state: ItemState;
}

/**
 * An order good by good, in the order of the shelf. What is decided counts from the moment it is stored, so that
 * nothing is given back or handed over twice; what has failed or was taken back counts no more.
 * Throws an Error if the items do not cost what the order did: its products have changed since.
 */
export function linesOf({ order, entries }: Pick<CheckoutRecord, "order" | "entries">): Line[] {
  const lines = shelve(order.items).flatMap(({ product, quantity }) =>
    product.goods.map(({ accountId, unitAmount }) => {
      const bought = unitAmount * BigInt(quantity);
      const sum = (kind: Entry["kind"], bearer: Portion["bearer"]) =>
        portionsOf(entries, kind)
          .filter((portion) => portion.sku === product.sku && portion.accountId === accountId)
          .reduce(
            (total, portion) => total + (portion.bearer === bearer ? portion.amount : 0n),
            0n,
          );
      const fulfilled = sum("FULFILMENT", "OBLIGATION");
      const refundedFromObligation = sum("REFUND", "OBLIGATION");
      const refundedFromLosses = sum("REFUND", "LOSSES");
      return {
        sku: product.sku,
        accountId,
        unitAmount,
        bought,
        fulfilled,
        refundedFromObligation,
        refundedFromLosses,
        owed: bought - fulfilled - refundedFromObligation,
        refundable: bought - refundedFromObligation - refundedFromLosses,
      };
    }),
  );
  if (sumOf(lines, "bought") !== order.amount) {
    throw new Error(`the items of checkout ${order.intentId} no longer cost what they did`);
  }
  return lines;
}

/** The items of an order and what became of each, in the order in which they were ordered. */
export function itemsOf(record: Pick<CheckoutRecord, "order" | "entries">): ItemStatus[] {
  const lines = linesOf(record);
  return record.order.items.map(({ sku, quantity }) => {
    const itemLines = lines.filter((line) => line.sku === sku);
    const fulfilledQuantity = fulfilledOf(record.entries, sku);
    return {
      sku,
      quantity,
      amount: sumOf(itemLines, "bought"),
      fulfilledQuantity,
      refundedAmount:
        sumOf(itemLines, "refundedFromObligation") + sumOf(itemLines, "refundedFromLosses"),
      state: stateOf(fulfilledQuantity, quantity),
    };
  });
}

/** All that can still be given back of an order, minor units. */
export function refundableOf(lines: readonly Line[]): bigint {
  return sumOf(lines, "refundable");
}

/**
 * What it takes to give back units of items: of each good what is still owed first; LOSSES bear the rest.
 * Throws NOT_REFUNDABLE if an item has fewer units of which nothing was given back.
 */
export function refundOfItems(
  { orderId }: Pick<Order, "orderId">,
  lines: readonly Line[],
  items: readonly Item[],
): Portion[] {
  return unitsOf(lines, items, "refundable", (sku, units) => {
    throw new DomainError("NOT_REFUNDABLE", `no more than ${units} ${sku} can be refunded`, {
      metadata: { orderId, sku, refundable: units.toString() },
    });
  }).flatMap(({ line, amount }) => refundOfLine(line, amount));
}

/**
 * Spreads an amount over all that is refundable, in proportion, by largest remainder: to the cent, and the same
 * whoever reckons it. Of each good what is still owed first; LOSSES bear the rest.
 * `amount`: 1 or more, minor units. Throws NOT_REFUNDABLE if less is refundable.
 */
export function refundOfAmount(
  { orderId, ledger }: Pick<Order, "orderId" | "ledger">,
  lines: readonly Line[],
  amount: bigint,
): Portion[] {
  const total = refundableOf(lines);
  if (amount > total) {
    const most = formatAmount(total, ledger);
    throw new DomainError("NOT_REFUNDABLE", `no more than ${most} can be refunded`, {
      metadata: { orderId },
    });
  }
  const shares = lines.map((line, index) => ({
    line,
    index,
    share: (amount * line.refundable) / total,
    remainder: (amount * line.refundable) % total,
  }));
  const left = amount - shares.reduce((sum, { share }) => sum + share, 0n);
  // Each of those who get one more has a remainder, so its share was less than it can bear.
  const raised = new Set(
    shares
      .toSorted((a, b) => compare(b.remainder, a.remainder) || a.index - b.index)
      .slice(0, Number(left)),
  );
  return shares.flatMap((entry) =>
    refundOfLine(entry.line, raised.has(entry) ? entry.share + 1n : entry.share),
  );
}

/** What it takes to hand over units of items. Throws NOT_FULFILLABLE if fewer are owed whole. */
export function fulfilmentOfItems(
  { orderId }: Pick<Order, "orderId">,
  lines: readonly Line[],
  items: readonly Item[],
): Portion[] {
  return unitsOf(lines, items, "owed", (sku, units) => {
    throw new DomainError("NOT_FULFILLABLE", `no more than ${units} ${sku} can be handed over`, {
      metadata: { orderId, sku, fulfillable: units.toString() },
    });
  }).map(({ line, amount }) => portionOf(line, amount, "OBLIGATION"));
}

/** What units of items cost, line by line. Calls `refuse` if an item has fewer whole units left. */
function unitsOf(
  lines: readonly Line[],
  items: readonly Item[],
  left: "refundable" | "owed",
  refuse: (sku: string, units: bigint) => never,
): { readonly line: Line; readonly amount: bigint }[] {
  for (const { sku } of items) {
    const units = wholeUnits(
      lines.filter((line) => line.sku === sku),
      left,
    );
    if (quantityOf(items, sku) > units) refuse(sku, units);
  }
  return lines
    .map((line) => ({ line, amount: line.unitAmount * quantityOf(items, line.sku) }))
    .filter(({ amount }) => amount > 0n);
}

/** How many units of an item have all of every good left. */
function wholeUnits(itemLines: readonly Line[], left: "refundable" | "owed"): bigint {
  const units = itemLines.map((line) => line[left] / line.unitAmount);
  return units.reduce((least, count) => (count < least ? count : least), units[0] ?? 0n);
}

function quantityOf(items: readonly Item[], sku: string): bigint {
  return items.reduce((sum, item) => sum + (item.sku === sku ? BigInt(item.quantity) : 0n), 0n);
}

function refundOfLine(line: Line, amount: bigint): Portion[] {
  const owed = amount < line.owed ? amount : line.owed;
  return [portionOf(line, owed, "OBLIGATION"), portionOf(line, amount - owed, "LOSSES")].filter(
    (portion) => portion.amount > 0n,
  );
}

function portionOf({ sku, accountId }: Line, amount: bigint, bearer: Portion["bearer"]): Portion {
  return { sku, accountId, amount, bearer };
}

/** The portions of the entries of a kind that are in the ledger or may yet come there. */
function portionsOf(entries: readonly Entry[], kind: Entry["kind"]): Portion[] {
  return counting(entries, kind).flatMap(({ portions }) => portions);
}

function counting(entries: readonly Entry[], kind: Entry["kind"]): Entry[] {
  return entries.filter(
    (entry) => entry.kind === kind && (entry.state === "PENDING" || entry.state === "CLEARED"),
  );
}

function fulfilledOf(entries: readonly Entry[], sku: string): number {
  const handedOver = counting(entries, "FULFILMENT").flatMap(({ items }) => items);
  return Number(quantityOf(handedOver, sku));
}

function stateOf(fulfilled: number, quantity: number): ItemState {
  if (fulfilled === 0) return "OPEN";
  return fulfilled < quantity ? "PARTLY_FULFILLED" : "FULFILLED";
}

/** Items with their products, in the order of the shelf. Throws RangeError for a SKU that is no product's. */
function shelve(items: readonly Item[]) {
  return items
    .map(({ sku, quantity }) => {
      const product = findProduct(sku);
      if (product === undefined) throw new RangeError(`there is no product ${sku}`);
      return { product, quantity };
    })
    .toSorted((a, b) => products.indexOf(a.product) - products.indexOf(b.product));
}

type Sums = "bought" | "refundedFromObligation" | "refundedFromLosses" | "refundable";

function sumOf(lines: readonly Line[], field: Sums): bigint {
  return lines.reduce((sum, line) => sum + line[field], 0n);
}

function compare(a: bigint, b: bigint): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
