import type { CallLimit } from "#common/deadline.ts";
import type { DomainError } from "#common/domain-error.ts";
import { successorOf } from "../order/intents.ts";
import {
  type Attempt,
  type CheckoutRecord,
  type CheckoutState,
  currentAttempt,
  type Entry,
  entryAmount,
} from "../order/record.ts";
import { type Change, type PaymentRefund, RefundRefused } from "../ports.ts";
import { paymentsOf } from "./payments-of.ts";
import type { SettlePorts } from "./ports.ts";
import { causeOfDeath, isDead, isRefusal, mayPassAgain } from "./refusals.ts";

/** The most intents that an entry may have: every one but the last died for want of time or of a trusted signer. */
const attemptsMax = 8;

/**
 * Takes the next step of an entry on its way into the ledger: a card's refund is made at Stripe, the intent is
 * attested, then cleared; one that died is followed by a successor, or by the end of the entry. Throws what stopped it.
 */
export async function enterLedger(
  ports: SettlePorts,
  record: CheckoutRecord,
  entry: Entry,
  limit: CallLimit,
): Promise<CheckoutRecord> {
  const { order } = record;
  if (entry.kind === "REFUND" && order.paymentMethod === "CARD" && entry.stripeRefundId === "") {
    return refundAtStripe(ports, record, entry, limit);
  }
  const attempt = currentAttempt(entry);
  try {
    const change = await advance(ports, record, entry, attempt, limit);
    return await ports.store.change(order.intentId, whileCurrent(entry, attempt, change));
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const buried = await ports.store.change(
      order.intentId,
      whileCurrent(entry, attempt, (now, entryNow) =>
        bury(now, entryNow, attempt, error, ports.nowMs()),
      ),
    );
    // Who signs from a balance is there to hear it; what a card has paid goes on by itself.
    if (entry.kind === "PURCHASE" && order.paymentMethod === "BALANCE") throw error;
    return buried;
  }
}

type Decide = (record: CheckoutRecord, entry: Entry) => Change;

/** Writes only if the attempt is still the one that the entry stands or falls with: somebody else may be at it too. */
function whileCurrent(entry: Entry, attempt: Attempt, decide: Decide) {
  return (record: CheckoutRecord): Change | undefined => {
    const entryNow = record.entries.find(({ entryId }) => entryId === entry.entryId);
    if (entryNow === undefined || entryNow.state !== "PENDING") return undefined;
    const current = currentAttempt(entryNow);
    if (current.intent.intentId !== attempt.intent.intentId) return undefined;
    return current.state === "PENDING" ? decide(record, entryNow) : undefined;
  };
}

async function advance(
  ports: SettlePorts,
  { order }: CheckoutRecord,
  entry: Entry,
  attempt: Attempt,
  limit: CallLimit,
): Promise<Decide> {
  const { intent } = attempt;
  const { intentId } = intent;
  if (attempt.attestation === undefined) {
    const walletSignature = entry.kind === "PURCHASE" ? order.walletSignature : "";
    const attestation = await ports.peers.attest(intent, walletSignature, limit);
    return () => ({ attempt: { intentId, attestation } });
  }
  const evidence = { intent, attestation: attempt.attestation };
  const commitTimestamp = await ports.peers.clear(evidence, limit);
  return (record, entryNow) => ({
    ...cleared(record, entryNow),
    attempt: { intentId, state: "CLEARED", commitTimestamp },
  });
}

/** What follows for the checkout when an entry has cleared. */
function cleared(record: CheckoutRecord, entry: Entry): Change {
  const { entryId } = entry;
  const entries = [{ entryId, state: "CLEARED" as const }];
  switch (entry.kind) {
    case "PURCHASE":
      return { entries, state: { to: "CLEARED", cause: "cleared" } };
    case "FULFILMENT":
      return { entries };
    case "REFUND":
      return { entries, ...refundState(record, { cleared: entryId }, "refunded") };
    case "CORRECTION": {
      const corrected = { entryId: entry.correctsEntryId, state: "CORRECTED" as const };
      const state = refundState(record, { corrected: corrected.entryId }, "a refund failed");
      return { entries: [...entries, corrected], ...state };
    }
  }
}

/** The state that follows from what was given back in all. */
function refundState(
  { order, entries }: CheckoutRecord,
  news: { readonly cleared?: string; readonly corrected?: string },
  cause: string,
): Pick<Change, "state"> {
  const refunded = entries
    .filter(({ kind, state, entryId }) => {
      if (kind !== "REFUND" || entryId === news.corrected) return false;
      return state === "CLEARED" || entryId === news.cleared;
    })
    .reduce((sum, entry) => sum + entryAmount(entry), 0n);
  const to: CheckoutState =
    refunded === 0n ? "CLEARED" : refunded < order.amount ? "PARTLY_REFUNDED" : "REFUNDED";
  return { state: { to, cause } };
}

/** What follows when an intent will never clear: a successor where one may clear, else the end of the entry. */
function bury(
  { order }: CheckoutRecord,
  entry: Entry,
  { intent }: Attempt,
  error: DomainError,
  nowMs: number,
): Change {
  const { entryId } = entry;
  const attempt = { intentId: intent.intentId, state: "DEAD" as const };
  const isSigned = entry.kind === "PURCHASE" && order.paymentMethod === "BALANCE";
  // Money that Stripe has given back already, or could not, must reach the books: such an entry has no other end.
  const isPaidOut = entry.stripeRefundId !== "" || entry.kind === "CORRECTION";
  if (!isSigned && (mayPassAgain(error) || (isPaidOut && isDead(error)))) {
    if (entry.attempts.length < attemptsMax) {
      return { attempt, newAttempt: { entryId, intent: successorOf(intent, nowMs) } };
    }
  }
  if (isPaidOut) throw error;
  const change: Change = { attempt, entries: [{ entryId, state: "FAILED" }] };
  if (entry.kind !== "PURCHASE") return change;
  const cause = causeOfDeath(error);
  if (isSigned && cause === "INTENT_EXPIRED") {
    return { ...change, state: { to: "CANCELLED", cause: "time is up" } };
  }
  return {
    ...change,
    state: { to: "FAILED", cause },
    order: { failureReason: cause, returnOwed: order.paymentMethod === "CARD" },
  };
}

/** The entry's id is the refund's idempotency key and travels in its metadata: one entry is one refund. */
async function refundAtStripe(
  ports: SettlePorts,
  { order }: CheckoutRecord,
  entry: Entry,
  limit: CallLimit,
): Promise<CheckoutRecord> {
  const { entryId } = entry;
  const refund = await makeRefund(ports, order.paymentIntentId, entry, limit);
  const failed = refund === undefined || refund.status === "failed" || refund.status === "canceled";
  return ports.store.change(order.intentId, ({ entries }) => {
    const now = entries.find((candidate) => candidate.entryId === entryId);
    if (now?.state !== "PENDING" || now.stripeRefundId !== "") return undefined;
    const change = { entryId, ...(refund === undefined ? {} : { stripeRefundId: refund.id }) };
    return { entries: [failed ? { ...change, state: "FAILED" } : change] };
  });
}

/** Undefined: Stripe refuses for good. */
async function makeRefund(
  ports: SettlePorts,
  paymentIntentId: string,
  entry: Entry,
  limit: CallLimit,
): Promise<PaymentRefund | undefined> {
  const payments = paymentsOf(ports);
  const { entryId } = entry;
  try {
    return await payments.refund({ paymentIntentId, entryId, amount: entryAmount(entry) }, limit);
  } catch (error) {
    if (error instanceof RefundRefused) return undefined;
    throw error;
  }
}
