import type { Stripe } from "stripe";
import { changeMetadata, choice, integer, metadata, type Read, text } from "../http/params.ts";
import { addBalanceTransaction } from "../objects/balance-transactions.ts";
import type { Call } from "../objects/call.ts";
import { invalidRequest, parameterMissing, resourceMissing } from "../objects/errors.ts";
import { newId } from "../objects/ids.ts";
import { amountMax, formatAmount } from "../objects/money.ts";
import { emit } from "../webhooks/events.ts";
import { findCharge } from "./charges.ts";
import { cardOf } from "./methods.ts";

export const createRefundParams = {
  payment_intent: text(),
  charge: text(),
  amount: integer(1, amountMax),
  reason: choice("duplicate", "fraudulent", "requested_by_customer"),
  metadata,
};

export const updateRefundParams = { metadata };

export function findRefund(call: Call, id: string): Stripe.Refund {
  const stored = call.store.find("refund", id);
  if (stored === undefined) throw resourceMissing("refund", id, { param: "id", status: 404 });
  return stored.body;
}

/** Gives back what a charge took, all that is left by default. Never more: what is pending counts, what failed does not. */
export function createRefund(call: Call, params: Read<typeof createRefundParams>): Stripe.Refund {
  const charge = chargeToRefund(call, params);
  const left = charge.amount_captured - charge.amount_refunded;
  if (left <= 0) {
    throw invalidRequest(`Charge ${charge.id} has already been refunded.`, {
      code: "charge_already_refunded",
    });
  }
  const amount = params.amount ?? left;
  if (amount > left) {
    const [asked, rest] = [amount, left].map((value) => formatAmount(value, charge.currency));
    const of = charge.amount_refunded > 0 ? "unrefunded amount on charge" : "charge amount";
    throw invalidRequest(`Refund amount (${asked}) is greater than ${of} (${rest})`, {
      param: "amount",
    });
  }
  const fate = fateOf(call, charge);
  const refund = addRefund(call, charge, {
    amount,
    reason: params.reason ?? null,
    metadata: changeMetadata({}, params.metadata),
    status: fate.startsWith("pending") ? "pending" : "succeeded",
  });
  if (fate !== "succeeds") {
    const kind = fate === "pending" ? "refund_succeeds" : "refund_fails";
    call.store.addTask({ kind, object: refund.id, dueMs: call.nowMs + call.settleMs });
  }
  return refund;
}

function chargeToRefund(call: Call, params: Read<typeof createRefundParams>): Stripe.Charge {
  if (params.charge !== undefined && params.payment_intent !== undefined) {
    throw invalidRequest("You may only specify one of these parameters: charge, payment_intent.");
  }
  if (params.charge !== undefined) {
    const charge = findCharge(call, params.charge, { param: "charge", status: 404 });
    if (charge.status === "succeeded" && charge.captured) return charge;
    throw notCharged(`charge (${charge.id})`);
  }
  if (params.payment_intent === undefined) throw parameterMissing("payment_intent");
  const intent = call.store.find("payment_intent", params.payment_intent)?.body;
  if (intent === undefined) {
    throw resourceMissing("payment_intent", params.payment_intent, {
      param: "payment_intent",
      status: 404,
    });
  }
  if (intent.status !== "succeeded" || typeof intent.latest_charge !== "string") {
    throw notCharged(`PaymentIntent (${intent.id})`);
  }
  return findCharge(call, intent.latest_charge);
}

function notCharged(what: string) {
  return invalidRequest(`This ${what} does not have a successful charge to refund.`);
}

type Fate = "succeeds" | "pending" | "pending_then_fail" | "fail";

/** What becomes of a new refund: what was commanded, or what the card does. */
function fateOf(call: Call, charge: Stripe.Charge): Fate {
  const commanded = call.faults.settings.refunds;
  if (commanded !== "card") return commanded;
  return cardOf(call, charge.payment_method ?? "").refunds ?? "succeeds";
}

const cardRefund = {
  type: "refund",
  reference_status: "pending",
  reference_type: "acquirer_reference_number",
} as const;

/** Tells refund.created and charge.refunded, which come at once also for one that is pending. */
function addRefund(
  call: Call,
  charge: Stripe.Charge,
  fields: Pick<Stripe.Refund, "amount" | "reason" | "metadata" | "status">,
): Stripe.Refund {
  const refund: Stripe.Refund = {
    id: newId("re"),
    object: "refund",
    balance_transaction: null,
    charge: charge.id,
    created: call.nowSeconds,
    currency: charge.currency,
    customer: null,
    customer_account: null,
    payment_intent: charge.payment_intent,
    payment_method: charge.payment_method,
    receipt_number: null,
    source_transfer_reversal: null,
    transfer_reversal: null,
    ...fields,
  };
  if (refund.status === "pending") refund.pending_reason = "processing";
  else refund.destination_details = { card: cardRefund, type: "card" };
  refund.balance_transaction = addBalanceTransaction(call, {
    type: "refund",
    amount: -refund.amount,
    currency: refund.currency,
    source: refund.id,
    description: null,
  }).id;
  call.store.insert("refund", refund);
  emit(call, "refund.created", refund);
  changeRefunded(call, charge, refund.amount);
  return refund;
}

function changeRefunded(call: Call, before: Stripe.Charge, amount: number): void {
  const amountRefunded = before.amount_refunded + amount;
  const charge: Stripe.Charge = {
    ...before,
    amount_refunded: amountRefunded,
    refunded: amountRefunded >= before.amount_captured,
  };
  call.store.replace("charge", charge);
  if (amount > 0) emit(call, "charge.refunded", charge, before);
}

function changeRefund(call: Call, before: Stripe.Refund, refund: Stripe.Refund): Stripe.Refund {
  call.store.replace("refund", refund);
  emit(call, "refund.updated", refund, before);
  emit(call, "charge.refund.updated", refund, before);
  return refund;
}

export function updateRefund(
  call: Call,
  id: string,
  params: Read<typeof updateRefundParams>,
): Stripe.Refund {
  const before = findRefund(call, id);
  if (params.metadata === undefined) return before;
  const metadata = changeMetadata(before.metadata ?? {}, params.metadata);
  return changeRefund(call, before, { ...before, metadata });
}

/** Refuses always: refunds to cards never have the one status in which Stripe lets them be cancelled. */
export function cancelRefund(call: Call, id: string): never {
  const { status } = findRefund(call, id);
  throw invalidRequest(
    `You cannot cancel this refund because it has a status of ${status}. Only a refund with the status requires_action may be canceled.`,
  );
}

/** Ends a pending refund well. Does nothing to others. */
export function succeedRefund(call: Call, id: string): Stripe.Refund {
  const before = findRefund(call, id);
  if (before.status !== "pending") return before;
  const { pending_reason: _, ...rest } = before;
  return changeRefund(call, before, { ...rest, status: "succeeded" });
}

/** Ends a refund badly, also one that had succeeded: the money comes back to the account. Tells refund.failed. */
export function failRefund(call: Call, id: string, reason: string): Stripe.Refund {
  const before = findRefund(call, id);
  if (before.status !== "pending" && before.status !== "succeeded") return before;
  call.store.removeTasks(id);
  const { pending_reason: _, ...rest } = before;
  const refund: Stripe.Refund = { ...rest, status: "failed", failure_reason: reason };
  refund.failure_balance_transaction = addBalanceTransaction(call, {
    type: "refund_failure",
    amount: refund.amount,
    currency: refund.currency,
    source: refund.id,
    description: null,
  }).id;
  if (typeof refund.charge === "string") {
    changeRefunded(call, findCharge(call, refund.charge), -refund.amount);
  }
  changeRefund(call, before, refund);
  emit(call, "refund.failed", refund);
  return refund;
}
