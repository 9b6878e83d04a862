import type { Stripe } from "stripe";
import { changeMetadata, type Read } from "../http/params.ts";
import type { Call } from "../objects/call.ts";
import {
  invalidRequest,
  parameterMissing,
  resourceMissing,
  unexpectedState,
} from "../objects/errors.ts";
import { checkCharge, formatAmount } from "../objects/money.ts";
import { emit } from "../webhooks/events.ts";
import { captureCharge, findCharge } from "./charges.ts";
import { confirmIntent } from "./confirm.ts";
import type {
  cancelIntentParams,
  captureIntentParams,
  confirmIntentParams,
  createIntentParams,
  ownIntentParams,
  retrieveIntentParams,
  updateIntentParams,
} from "./intent-params.ts";
import { createPaymentMethod, findPaymentMethod } from "./methods.ts";
import { newIntent, textOrNull } from "./new-intent.ts";

export function findIntent(call: Call, id: string): Stripe.PaymentIntent {
  const stored = call.store.find("payment_intent", id);
  if (stored === undefined) {
    throw resourceMissing("payment_intent", id, { param: "intent", status: 404 });
  }
  return stored.body;
}

/** What a publishable key may know, given the client secret. */
function checkClientSecret(call: Call, intent: Stripe.PaymentIntent, given: string | undefined) {
  if (given === undefined) {
    if (call.browser) throw parameterMissing("client_secret");
    return;
  }
  if (given !== intent.client_secret) {
    throw invalidRequest(
      "The client_secret provided does not match any associated PaymentIntent for this account. Ensure the client_secret was created using the same account that's attempting to confirm this PaymentIntent.",
      { code: "payment_intent_invalid_parameter", param: "client_secret" },
    );
  }
}

export function retrieveIntent(
  call: Call,
  id: string,
  params: Read<typeof retrieveIntentParams>,
): Stripe.PaymentIntent {
  const intent = findIntent(call, id);
  checkClientSecret(call, intent, params.client_secret);
  return intent;
}

function checkCustomer(customer: string | undefined): void {
  if (customer === undefined) return;
  throw resourceMissing("customer", customer, { param: "customer", status: 400 });
}

/** The payment method that a request names or brings; undefined if it does neither. */
function methodOf(
  call: Call,
  params: Pick<Read<typeof ownIntentParams>, "payment_method" | "payment_method_data">,
): Stripe.PaymentMethod | undefined {
  if (params.payment_method !== undefined) {
    return findPaymentMethod(call, params.payment_method, { param: "payment_method", status: 400 });
  }
  if (params.payment_method_data === undefined) return undefined;
  return createPaymentMethod(call, params.payment_method_data);
}

export function createIntent(
  call: Call,
  params: Read<typeof createIntentParams>,
): Stripe.PaymentIntent {
  const currency = checkCharge(params.amount, params.currency);
  checkCustomer(params.customer);
  const automatic = params.automatic_payment_methods;
  if (automatic?.enabled === true && params.payment_method_types !== undefined) {
    throw invalidRequest(
      "You may only specify one of these parameters: automatic_payment_methods, payment_method_types.",
    );
  }
  if (params.confirm !== true) {
    for (const name of ["return_url", "off_session", "error_on_requires_action"] as const) {
      if (params[name] === undefined) continue;
      throw invalidRequest(
        `The parameter ${name} cannot be passed when creating a PaymentIntent unless confirm is set to true.`,
        { param: name },
      );
    }
  }
  const method = methodOf(call, params);
  const intent = newIntent(call, params, currency, method);
  call.store.insert("payment_intent", intent);
  emit(call, "payment_intent.created", intent);
  return params.confirm === true ? confirmIntent(call, intent, method, params) : intent;
}

const openStatuses = ["requires_payment_method", "requires_confirmation", "requires_action"];

export function updateIntent(
  call: Call,
  id: string,
  params: Read<typeof updateIntentParams>,
): Stripe.PaymentIntent {
  const before = findIntent(call, id);
  checkCustomer(params.customer);
  for (const name of updatableWhileOpen) {
    if (params[name] === undefined || openStatuses.includes(before.status)) continue;
    throw unexpectedState(
      `This PaymentIntent's ${name} could not be updated because it has a status of ${before.status}. You may only update the ${name} of a PaymentIntent with one of the following statuses: ${openStatuses.join(", ")}.`,
      before,
    );
  }
  const money = params.amount ?? before.amount;
  const currency = checkCharge(money, params.currency ?? before.currency);
  const method = methodOf(call, params);
  const intent: Stripe.PaymentIntent = {
    ...before,
    amount: money,
    currency,
    capture_method: params.capture_method ?? before.capture_method,
    last_payment_error: null,
    metadata: changeMetadata(before.metadata, params.metadata),
  };
  for (const name of plainTexts) {
    if (params[name] !== undefined) intent[name] = textOrNull(params[name]);
  }
  if (method !== undefined) {
    intent.payment_method = method.id;
    intent.status = "requires_confirmation";
    intent.next_action = null;
  } else if (before.status === "requires_action" && money !== before.amount) {
    // What the bank was asked to confirm is no more.
    intent.status = "requires_confirmation";
    intent.next_action = null;
  }
  call.store.replace("payment_intent", intent);
  return intent;
}

const updatableWhileOpen = [
  "amount",
  "currency",
  "payment_method",
  "payment_method_data",
  "payment_method_types",
  "capture_method",
] as const;

const plainTexts = [
  "description",
  "receipt_email",
  "statement_descriptor",
  "statement_descriptor_suffix",
  "transfer_group",
] as const;

export function confirm(
  call: Call,
  id: string,
  params: Read<typeof confirmIntentParams>,
): Stripe.PaymentIntent {
  const intent = findIntent(call, id);
  checkClientSecret(call, intent, params.client_secret);
  if (!openStatuses.includes(intent.status)) throw notConfirmable(intent);
  const method = methodOf(call, params);
  const changed: Stripe.PaymentIntent = {
    ...intent,
    capture_method: params.capture_method ?? intent.capture_method,
    receipt_email: params.receipt_email ?? intent.receipt_email,
  };
  return confirmIntent(call, changed, method, params);
}

function notConfirmable(intent: Stripe.PaymentIntent) {
  return unexpectedState(
    intent.status === "succeeded"
      ? "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed."
      : `You cannot confirm this PaymentIntent because it has a status of ${intent.status}. Only a PaymentIntent with one of the following statuses may be confirmed: requires_confirmation, requires_action.`,
    intent,
  );
}

export function captureIntent(
  call: Call,
  id: string,
  params: Read<typeof captureIntentParams>,
): Stripe.PaymentIntent {
  const before = findIntent(call, id);
  if (before.status !== "requires_capture" || typeof before.latest_charge !== "string") {
    throw unexpectedState(
      before.status === "succeeded"
        ? "This PaymentIntent could not be captured because it has already been captured."
        : `This PaymentIntent could not be captured because it has a status of ${before.status}. Only a PaymentIntent with one of the following statuses may be captured: requires_capture.`,
      before,
    );
  }
  const money = params.amount_to_capture ?? before.amount_capturable;
  if (money > before.amount_capturable) {
    throw invalidRequest(
      `The amount to capture (${formatAmount(money, before.currency)}) is greater than the amount that can be captured (${formatAmount(before.amount_capturable, before.currency)}).`,
      { code: "amount_too_large", param: "amount_to_capture" },
    );
  }
  captureCharge(call, findCharge(call, before.latest_charge), money);
  const intent: Stripe.PaymentIntent = {
    ...before,
    amount_capturable: 0,
    amount_received: money,
    metadata: changeMetadata(before.metadata, params.metadata),
    status: "succeeded",
  };
  call.store.replace("payment_intent", intent);
  emit(call, "payment_intent.succeeded", intent);
  return intent;
}

export function cancelIntent(
  call: Call,
  id: string,
  params: Read<typeof cancelIntentParams>,
): Stripe.PaymentIntent {
  const before = findIntent(call, id);
  const cancelable = [...openStatuses, "requires_capture"];
  if (!cancelable.includes(before.status)) {
    throw unexpectedState(
      `You cannot cancel this PaymentIntent because it has a status of ${before.status}. Only a PaymentIntent with one of the following statuses may be canceled: ${cancelable.join(", ")}.`,
      before,
    );
  }
  if (before.status === "requires_capture" && typeof before.latest_charge === "string") {
    const held = findCharge(call, before.latest_charge);
    const released: Stripe.Charge = { ...held, amount_refunded: held.amount, refunded: true };
    call.store.replace("charge", released);
    emit(call, "charge.refunded", released, held);
  }
  const intent: Stripe.PaymentIntent = {
    ...before,
    amount_capturable: 0,
    canceled_at: call.nowSeconds,
    cancellation_reason: params.cancellation_reason ?? null,
    next_action: null,
    status: "canceled",
  };
  call.store.replace("payment_intent", intent);
  emit(call, "payment_intent.canceled", intent);
  return intent;
}

/** The properties that a publishable key is shown. */
const browserProperties = [
  "id",
  "object",
  "amount",
  "amount_details",
  "automatic_payment_methods",
  "canceled_at",
  "cancellation_reason",
  "capture_method",
  "client_secret",
  "confirmation_method",
  "created",
  "currency",
  "description",
  "last_payment_error",
  "livemode",
  "next_action",
  "payment_method",
  "payment_method_configuration_details",
  "payment_method_types",
  "processing",
  "receipt_email",
  "setup_future_usage",
  "shipping",
  "source",
  "status",
] as const satisfies readonly (keyof Stripe.PaymentIntent)[];

export function showToBrowser(intent: Stripe.PaymentIntent): object {
  return Object.fromEntries(browserProperties.map((name) => [name, intent[name]]));
}
