import type { Stripe } from "stripe";

/** `error` of Stripe's answers, without what the server adds (doc_url, request_log_url). */
export interface ErrorBody {
  readonly type: "api_error" | "card_error" | "idempotency_error" | "invalid_request_error";
  readonly code?: string;
  readonly decline_code?: string;
  readonly message: string;
  readonly param?: string;
  readonly charge?: string;
  readonly payment_intent?: Stripe.PaymentIntent;
  readonly payment_method?: Stripe.PaymentMethod;
}

/** A refusal as Stripe words it. It is an answer: what was done before it was thrown stays done. */
export class StripeSimError extends Error {
  override readonly name = "StripeSimError";
  readonly status: number;
  readonly body: ErrorBody;

  constructor(status: number, body: ErrorBody) {
    super(body.message);
    this.status = status;
    this.body = body;
  }
}

/** 400: a request that means nothing or is not possible. */
export function invalidRequest(
  message: string,
  details: { readonly code?: string; readonly param?: string } = {},
): StripeSimError {
  return new StripeSimError(400, { type: "invalid_request_error", message, ...details });
}

export function parameterMissing(param: string): StripeSimError {
  return invalidRequest(`Missing required param: ${param}.`, { code: "parameter_missing", param });
}

/** 404 for what a path names, 400 for what a parameter names. */
export function resourceMissing(
  kind: string,
  id: string,
  where: { readonly param: string; readonly status: 400 | 404 },
): StripeSimError {
  return new StripeSimError(where.status, {
    type: "invalid_request_error",
    code: "resource_missing",
    message: `No such ${kind}: '${id}'`,
    param: where.param,
  });
}

/** 400: the PaymentIntent's status forbids it; the answer shows the PaymentIntent. */
export function unexpectedState(
  message: string,
  paymentIntent: Stripe.PaymentIntent,
): StripeSimError {
  return new StripeSimError(400, {
    type: "invalid_request_error",
    code: "payment_intent_unexpected_state",
    message,
    payment_intent: paymentIntent,
  });
}

export function unauthorized(message: string): StripeSimError {
  return new StripeSimError(401, { type: "invalid_request_error", message });
}
