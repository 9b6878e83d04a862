import { correctionIntent, type Issue, refundIntent } from "../order/intents.ts";
import { linesOf, refundableOf, refundOfAmount } from "../order/lines.ts";
import {
  type CheckoutRecord,
  currentAttempt,
  type Entry,
  entryAmount,
  purchaseOf,
} from "../order/record.ts";
import type { Change, NewEntry, PaymentRefund } from "../ports.ts";

/** What a refund at Stripe asks of the books. LATER: what is on its way must arrive first. */
export type Verdict = Change | "NOTHING" | "LATER";

/**
 * What is to be written about a refund as Stripe tells it, of a checkout whose purchase cleared. One of ours is
 * recognised by the entry that its metadata names, one made elsewhere by its own id: either is taken in once.
 * Pure: `issue` is for the intent that may follow. Throws an Error if its currency is not the order's.
 */
export function judgeRefund(record: CheckoutRecord, refund: PaymentRefund, issue: Issue): Verdict {
  // Everything is priced in dollars.
  if (refund.currency !== "usd") {
    throw new Error(`refund ${refund.id} is in ${refund.currency}, its order in usd`);
  }
  const entry = entryOf(record, refund);
  const hasFailed = refund.status === "failed" || refund.status === "canceled";
  if (entry === undefined) return hasFailed ? "NOTHING" : takeIn(record, refund, issue);
  if (hasFailed) return takeBack(record, entry, refund, issue);
  if (entry.stripeRefundId !== "") return "NOTHING";
  return { entries: [{ entryId: entry.entryId, stripeRefundId: refund.id }] };
}

/** The entry of a refund: the one that has its id, or that waits for one and is for the same amount. */
function entryOf({ entries }: CheckoutRecord, refund: PaymentRefund): Entry | undefined {
  return (
    entries.find(({ stripeRefundId }) => stripeRefundId === refund.id) ??
    entries.find(
      (entry) =>
        entry.kind === "REFUND" &&
        entry.entryId === refund.entryId &&
        entry.state === "PENDING" &&
        entry.stripeRefundId === "" &&
        entryAmount(entry) === refund.amount,
    )
  );
}

/** A refund that was made at Stripe, of any amount. */
function takeIn(record: CheckoutRecord, refund: PaymentRefund, issue: Issue): Verdict {
  const { order } = record;
  const lines = linesOf(record);
  // Refunds of our own have reserved it and have not reached Stripe, which will refuse them: it paid this one.
  if (refund.amount > refundableOf(lines)) return "LATER";
  const portions = refundOfAmount(order, lines, refund.amount);
  return {
    newEntry: {
      ...noItems,
      kind: "REFUND",
      intent: refundIntent(order, purchaseOf(record), portions, issue),
      portions,
      stripeRefundId: refund.id,
      external: true,
    },
  };
}

/** A refund that Stripe could not pay. */
function takeBack(
  record: CheckoutRecord,
  entry: Entry,
  refund: PaymentRefund,
  issue: Issue,
): Verdict {
  const { entryId, portions } = entry;
  if (entry.state === "PENDING") {
    // Clearing may have what is attested: that clears first, and is corrected then.
    if (currentAttempt(entry).attestation !== undefined) return "LATER";
    return { entries: [{ entryId, state: "FAILED", stripeRefundId: refund.id }] };
  }
  const isCorrected = record.entries.some(({ correctsEntryId }) => correctsEntryId === entryId);
  if (entry.state !== "CLEARED" || isCorrected) return "NOTHING";
  const intent = correctionIntent(record.order, entry, issue);
  return {
    newEntry: { ...noItems, kind: "CORRECTION", intent, portions, correctsEntryId: entryId },
  };
}

const noItems = {
  items: [],
  stripeRefundId: "",
  external: false,
  correctsEntryId: "",
} as const satisfies Partial<NewEntry>;
