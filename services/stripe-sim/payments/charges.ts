import type { Stripe } from "stripe";
import { addBalanceTransaction } from "../objects/balance-transactions.ts";
import type { Call } from "../objects/call.ts";
import { resourceMissing } from "../objects/errors.ts";
import { newId } from "../objects/ids.ts";
import { emit } from "../webhooks/events.ts";
import type { Decline } from "./test-cards.ts";

export function findCharge(
  call: Call,
  id: string,
  where: { readonly param: string; readonly status: 400 | 404 } = { param: "id", status: 404 },
): Stripe.Charge {
  const stored = call.store.find("charge", id);
  if (stored === undefined) throw resourceMissing("charge", id, where);
  return stored.body;
}

/**
 * Charges a card for a payment: at once, or later where the payment is captured by hand. Tells charge.succeeded.
 * The balance transaction of a payment with `automatic_async`, the default, comes a moment later, as at Stripe.
 */
export function addCharge(
  call: Call,
  intent: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
): Stripe.Charge {
  const captured = intent.capture_method !== "manual";
  const charge: Stripe.Charge = {
    ...newCharge(call, intent, method),
    amount_captured: captured ? intent.amount : 0,
    captured,
    outcome: outcomeOf(undefined),
    paid: true,
    status: "succeeded",
  };
  if (intent.capture_method === "automatic") {
    charge.balance_transaction = bookCharge(call, charge).id;
  }
  call.store.insert("charge", charge);
  emit(call, "charge.succeeded", charge);
  if (intent.capture_method === "automatic_async") {
    call.store.addTask({ kind: "book_charge", object: charge.id, dueMs: call.nowMs });
  }
  return charge;
}

/** A charge that the bank refused. Tells charge.failed. */
export function addFailedCharge(
  call: Call,
  intent: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  decline: Decline,
): Stripe.Charge {
  const charge: Stripe.Charge = {
    ...newCharge(call, intent, method),
    failure_code: decline.code,
    failure_message: decline.message,
    outcome: outcomeOf(decline),
  };
  call.store.insert("charge", charge);
  emit(call, "charge.failed", charge);
  return charge;
}

/** Takes the money that was set aside, or a part of it. Tells charge.captured. */
export function captureCharge(call: Call, before: Stripe.Charge, amount: number): Stripe.Charge {
  const charge: Stripe.Charge = { ...before, amount_captured: amount, captured: true };
  charge.balance_transaction = bookCharge(call, charge).id;
  call.store.replace("charge", charge);
  emit(call, "charge.captured", charge);
  return charge;
}

/** Books a charge that was not booked at once. Tells charge.updated. */
export function finishCharge(call: Call, id: string): void {
  const before = findCharge(call, id);
  const charge = { ...before, balance_transaction: bookCharge(call, before).id };
  call.store.replace("charge", charge);
  emit(call, "charge.updated", charge, before);
}

function bookCharge(call: Call, charge: Stripe.Charge): Stripe.BalanceTransaction {
  return addBalanceTransaction(call, {
    type: "charge",
    amount: charge.amount_captured,
    currency: charge.currency,
    source: charge.id,
    description: charge.description,
  });
}

function outcomeOf(decline: Decline | undefined): Stripe.Charge.Outcome {
  return {
    advice_code: null,
    network_advice_code: null,
    network_decline_code: null,
    network_status: decline === undefined ? "approved_by_network" : "declined_by_network",
    reason: decline?.declineCode ?? null,
    risk_level: "normal",
    risk_score: 20,
    seller_message:
      decline === undefined ? "Payment complete." : "The bank did not return any further details.",
    type: decline === undefined ? "authorized" : "issuer_declined",
  };
}

function newCharge(
  call: Call,
  intent: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
): Stripe.Charge {
  return {
    id: newId("ch"),
    object: "charge",
    amount: intent.amount,
    amount_captured: 0,
    amount_refunded: 0,
    application: null,
    application_fee: null,
    application_fee_amount: null,
    balance_transaction: null,
    billing_details: method.billing_details,
    calculated_statement_descriptor: intent.statement_descriptor ?? "SIMULATOR",
    captured: false,
    created: call.nowSeconds,
    currency: intent.currency,
    customer: null,
    description: intent.description,
    disputed: false,
    failure_balance_transaction: null,
    failure_code: null,
    failure_message: null,
    fraud_details: {},
    livemode: false,
    metadata: { ...intent.metadata },
    on_behalf_of: null,
    outcome: null,
    paid: false,
    payment_intent: intent.id,
    payment_method: method.id,
    payment_method_details: { card: cardDetails(intent, method), type: "card" },
    receipt_email: intent.receipt_email,
    receipt_number: null,
    receipt_url: null,
    refunded: false,
    review: null,
    shipping: null,
    source: null,
    source_transfer: null,
    statement_descriptor: intent.statement_descriptor,
    statement_descriptor_suffix: intent.statement_descriptor_suffix,
    status: "failed",
    transfer_data: null,
    transfer_group: intent.transfer_group,
  };
}

function cardDetails(
  intent: Stripe.PaymentIntent,
  { card }: Stripe.PaymentMethod,
): Stripe.Charge.PaymentMethodDetails.Card {
  return {
    amount_authorized: intent.amount,
    authorization_code: null,
    brand: card?.brand ?? null,
    checks: {
      address_line1_check: null,
      address_postal_code_check: null,
      cvc_check: "pass",
    },
    country: card?.country ?? null,
    electronic_commerce_indicator: null,
    exp_month: card?.exp_month ?? 0,
    exp_year: card?.exp_year ?? 0,
    funding: card?.funding ?? null,
    installments: null,
    last4: card?.last4 ?? null,
    mandate: null,
    network: card?.brand ?? null,
    network_transaction_id: null,
    regulated_status: "unregulated",
    three_d_secure: null,
    transaction_link_id: null,
    wallet: null,
  };
}
