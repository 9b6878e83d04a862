import type { Caller } from "#common/caller.ts";
import type { CallLimit } from "#common/deadline.ts";
import { DomainError } from "#common/domain-error.ts";
import type { Intent } from "#common/intent/intent.ts";
import type { CheckoutStore } from "../ports.ts";
import type { Settler } from "../settle/ports.ts";
import { findOrder, type OrderName } from "./find-order.ts";
import type { Issue } from "./intents.ts";
import { readCheckout } from "./read-checkout.ts";
import {
  type CheckoutRecord,
  clearedAttempt,
  type Entry,
  entryAmount,
  type Item,
  type Portion,
  purchaseOf,
} from "./record.ts";

/** A refund or a fulfilment of items, as it is asked for. */
export interface ItemRequest extends OrderName {
  /** Who asks; what is not his to see is not there. */
  readonly caller: Caller;
  readonly items: readonly Item[];
  /** UUIDv7, reused on every retry. */
  readonly intentId: string;
}

/** A refund, by items or, if there are none, by amount. */
export interface RefundRequest extends ItemRequest {
  /** Minor units, 1 or more; undefined with items. */
  readonly amount: bigint | undefined;
}

/** What became of it. */
export interface ItemEntry {
  readonly entry: Entry;
  readonly record: CheckoutRecord;
}

export interface ItemEntryPorts {
  readonly store: CheckoutStore;
  readonly settler: Settler;
  /** Epoch milliseconds. */
  readonly nowMs: () => number;
}

/** What is to be stored of a new entry, decided from the checkout as it is while it is locked. Pure. */
export type DecideItems = (
  record: CheckoutRecord,
  issue: Issue,
) => { readonly intent: Intent; readonly portions: readonly Portion[] };

/** The most refunds, and the most fulfilments, that may be asked for one checkout. */
const entriesMax = 1_000;

/**
 * Stores an entry for items under the checkout's lock, then brings it on. The same request again is the same entry,
 * as it is then. Once it is stored nothing is lost: what stops it now is left to the next look, and the answer says
 * PENDING. Throws CHECKOUT_NOT_FOUND, INVALID_FIELD, INTENT_ID_REUSED, LIMIT_EXCEEDED, and what `decide` throws.
 */
export async function enterItems(
  ports: ItemEntryPorts,
  kind: "REFUND" | "FULFILMENT",
  request: ItemRequest | RefundRequest,
  decide: DecideItems,
  limit: CallLimit,
): Promise<ItemEntry> {
  const { items } = request;
  const found = await findOrder(ports.store, request, request.caller);
  const issue = { intentId: request.intentId, nowMs: ports.nowMs() };
  const stored = await ports.store.change(found.order.intentId, (record) => {
    if (isStored(record, kind, request, issue.intentId)) return undefined;
    checkRoom(record, kind);
    const newEntry = { kind, items, stripeRefundId: "", external: false, correctsEntryId: "" };
    return { newEntry: { ...newEntry, ...decide(record, issue) } };
  });
  if (entryOf(stored, issue.intentId).state !== "PENDING") {
    return { entry: entryOf(stored, issue.intentId), record: stored };
  }
  const record = await bringOn(ports, stored, limit);
  return { entry: entryOf(record, issue.intentId), record };
}

/** True once the purchase is in the ledger: before that there is nothing to give back or to hand over. */
export function hasCleared(record: CheckoutRecord): boolean {
  return clearedAttempt(purchaseOf(record)) !== undefined;
}

/** True if the very same was asked before. Throws INTENT_ID_REUSED if something else has the intent id. */
function isStored(
  { entries }: CheckoutRecord,
  kind: Entry["kind"],
  request: ItemRequest | RefundRequest,
  intentId: string,
): boolean {
  const owner = entries.find(({ attempts }) =>
    attempts.some(({ intent }) => intent.intentId === intentId),
  );
  if (owner === undefined) return false;
  const isSame =
    owner.entryId === intentId &&
    owner.kind === kind &&
    !owner.external &&
    spell(owner.items) === spell(request.items) &&
    (request.items.length > 0 || ("amount" in request && entryAmount(owner) === request.amount));
  if (isSame) return true;
  throw new DomainError("INTENT_ID_REUSED", `the intent id ${intentId} stands for something else`, {
    metadata: { intentId },
  });
}

/** One spelling for the same items in any order. */
function spell(items: readonly Item[]): string {
  return items
    .map(({ sku, quantity }) => `${sku} ${quantity}`)
    .toSorted()
    .join();
}

function checkRoom({ entries }: CheckoutRecord, kind: Entry["kind"]): void {
  if (entries.filter((entry) => entry.kind === kind).length < entriesMax) return;
  const what = kind === "REFUND" ? "refunds" : "fulfilments";
  throw new DomainError("LIMIT_EXCEEDED", `a checkout has at most ${entriesMax} ${what}`, {
    metadata: { limit: entriesMax.toString(), what: `${what} per checkout` },
  });
}

async function bringOn(
  { store, settler }: ItemEntryPorts,
  { order }: CheckoutRecord,
  limit: CallLimit,
): Promise<CheckoutRecord> {
  try {
    return await settler.settle(order.intentId, limit);
  } catch (error) {
    // What was asked for is stored and goes on by itself, so the answer is what is known of it and no error.
    if (!(error instanceof DomainError)) throw error;
    return readCheckout(store, order.intentId);
  }
}

function entryOf({ entries, order }: CheckoutRecord, entryId: string): Entry {
  const entry = entries.find((candidate) => candidate.entryId === entryId);
  if (entry === undefined) throw new Error(`checkout ${order.intentId} has no entry ${entryId}`);
  return entry;
}
