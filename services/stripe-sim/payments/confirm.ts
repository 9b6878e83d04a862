import type { Stripe } from "stripe";
import type { Call } from "../objects/call.ts";
import {
  type ErrorBody,
  invalidRequest,
  StripeSimError,
  unexpectedState,
} from "../objects/errors.ts";
import { emit } from "../webhooks/events.ts";
import { addCharge, addFailedCharge } from "./charges.ts";
import { cardOf, checkUnused, findPaymentMethod, markUsed } from "./methods.ts";
import { authenticationRequired, type Decline } from "./test-cards.ts";

export interface AttemptOptions {
  readonly return_url?: string;
  readonly off_session?: boolean;
  readonly error_on_requires_action?: boolean;
}

/**
 * Tries to take the money. The status after it: succeeded, requires_capture, processing or requires_action.
 * A refusal of the bank is thrown as a 402, after it was written down.
 */
export function confirmIntent(
  call: Call,
  before: Stripe.PaymentIntent,
  given: Stripe.PaymentMethod | undefined,
  options: AttemptOptions,
): Stripe.PaymentIntent {
  const method = given ?? currentMethod(call, before);
  if (method === undefined) {
    throw unexpectedState(
      "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment method or ConfirmationToken.",
      before,
    );
  }
  checkReturnUrl(before, options);
  checkUnused(call, method.id);
  const intent: Stripe.PaymentIntent = {
    ...before,
    last_payment_error: null,
    next_action: null,
    payment_method: method.id,
  };
  if (cardOf(call, method.id).authentication !== true) return settle(call, intent, method, true);
  if (options.off_session === true || options.error_on_requires_action === true) {
    return throwDecline(decline(call, intent, method, authenticationRequired));
  }
  intent.status = "requires_action";
  intent.next_action = nextAction(call, intent, options.return_url);
  call.store.replace("payment_intent", intent);
  emit(call, "payment_intent.requires_action", intent);
  return intent;
}

function currentMethod(call: Call, intent: Stripe.PaymentIntent) {
  if (typeof intent.payment_method !== "string") return undefined;
  return findPaymentMethod(call, intent.payment_method, { param: "payment_method", status: 400 });
}

/** As at Stripe: what may redirect the shopper must know where to. Stripe.js brings it by itself, code must not forget it. */
function checkReturnUrl(intent: Stripe.PaymentIntent, options: AttemptOptions): void {
  if (intent.automatic_payment_methods?.allow_redirects !== "always") return;
  if (options.return_url !== undefined) return;
  throw invalidRequest(
    "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these payment methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents.",
  );
}

function nextAction(
  call: Call,
  intent: Stripe.PaymentIntent,
  returnUrl: string | undefined,
): Stripe.PaymentIntent.NextAction {
  const secret = encodeURIComponent(intent.client_secret ?? "");
  const page = `${call.baseUrl}/authenticate/${intent.id}?client_secret=${secret}`;
  if (returnUrl === undefined) {
    return {
      type: "use_stripe_sdk",
      use_stripe_sdk: { type: "three_d_secure_redirect", stripe_js: page },
    };
  }
  const url = `${page}&return_url=${encodeURIComponent(returnUrl)}`;
  return { type: "redirect_to_url", redirect_to_url: { return_url: returnUrl, url } };
}

/** The shopper's bank has answered. Throws StripeSimError if the payment does not wait for it. */
export function authenticate(
  call: Call,
  before: Stripe.PaymentIntent,
  passed: boolean,
): Stripe.PaymentIntent {
  const method = currentMethod(call, before);
  if (before.status !== "requires_action" || method === undefined) {
    throw unexpectedState(
      `This PaymentIntent waits for no authentication: it has a status of ${before.status}.`,
      before,
    );
  }
  const intent: Stripe.PaymentIntent = { ...before, next_action: null };
  if (passed) return settle(call, intent, method, true);
  const message =
    "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod to attempt to fulfill this PaymentIntent again.";
  return fail(call, intent, {
    type: "invalid_request_error",
    code: "payment_intent_authentication_failure",
    message,
    payment_method: method,
  });
}

/** Goes on with a payment that was `processing`. */
export function finishProcessing(call: Call, id: string): void {
  const intent = call.store.find("payment_intent", id)?.body;
  const method = intent === undefined ? undefined : currentMethod(call, intent);
  if (intent?.status !== "processing" || method === undefined) return;
  try {
    settle(call, { ...intent, processing: null }, method, false);
  } catch (error) {
    // Nobody waits for this refusal: the event tells it.
    if (!(error instanceof StripeSimError)) throw error;
  }
}

function settle(
  call: Call,
  intent: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  mayWait: boolean,
): Stripe.PaymentIntent {
  const waitMs = call.faults.settings.processing_ms;
  if (mayWait && waitMs > 0) return process(call, intent, waitMs);
  const refusal = cardOf(call, method.id).decline;
  if (refusal !== undefined) return throwDecline(decline(call, intent, method, refusal));
  const charge = addCharge(call, intent, method);
  markUsed(call, method.id);
  const paid: Stripe.PaymentIntent = {
    ...intent,
    amount_capturable: charge.captured ? 0 : intent.amount,
    amount_received: charge.amount_captured,
    latest_charge: charge.id,
    status: charge.captured ? "succeeded" : "requires_capture",
  };
  call.store.replace("payment_intent", paid);
  if (charge.captured) emit(call, "payment_intent.succeeded", paid);
  else emit(call, "payment_intent.amount_capturable_updated", paid, intent);
  return paid;
}

function process(call: Call, before: Stripe.PaymentIntent, waitMs: number): Stripe.PaymentIntent {
  const intent: Stripe.PaymentIntent = {
    ...before,
    processing: { type: "card" },
    status: "processing",
  };
  call.store.replace("payment_intent", intent);
  call.store.addTask({ kind: "payment", object: intent.id, dueMs: call.nowMs + waitMs });
  emit(call, "payment_intent.processing", intent);
  return intent;
}

/** Writes down that the bank refused, with a failed charge. */
function decline(
  call: Call,
  intent: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  { code, declineCode, message }: Decline,
): Stripe.PaymentIntent {
  const charge = addFailedCharge(call, intent, method, { code, declineCode, message });
  return fail(
    call,
    { ...intent, latest_charge: charge.id },
    {
      type: "card_error",
      code,
      decline_code: declineCode,
      message,
      charge: charge.id,
      payment_method: method,
    },
  );
}

/** Writes down a failed attempt: another payment method may be tried. Tells payment_intent.payment_failed. */
function fail(call: Call, before: Stripe.PaymentIntent, error: ErrorBody): Stripe.PaymentIntent {
  const intent: Stripe.PaymentIntent = {
    ...before,
    last_payment_error: error as Stripe.PaymentIntent.LastPaymentError,
    payment_method: null,
    status: "requires_payment_method",
  };
  call.store.replace("payment_intent", intent);
  emit(call, "payment_intent.payment_failed", intent);
  return intent;
}

function throwDecline(intent: Stripe.PaymentIntent): never {
  const error = intent.last_payment_error as ErrorBody;
  throw new StripeSimError(402, { ...error, payment_intent: intent });
}
