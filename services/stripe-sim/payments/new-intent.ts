import type { Stripe } from "stripe";
import { changeMetadata, type Read } from "../http/params.ts";
import type { Call } from "../objects/call.ts";
import { newId, randomText } from "../objects/ids.ts";
import type { createIntentParams } from "./intent-params.ts";

/** A PaymentIntent as it begins. */
export function newIntent(
  call: Call,
  params: Read<typeof createIntentParams>,
  currency: string,
  method: Stripe.PaymentMethod | undefined,
): Stripe.PaymentIntent {
  const id = newId("pi");
  const automatic = params.automatic_payment_methods;
  // A list of what is allowed leaves nothing to redirect.
  const types = params.allowed_payment_method_types ?? params.payment_method_types;
  const isAutomatic = automatic?.enabled ?? types === undefined;
  return {
    id,
    object: "payment_intent",
    allowed_payment_method_types: params.allowed_payment_method_types?.slice() ?? null,
    amount: params.amount,
    amount_capturable: 0,
    amount_details: { tip: {} },
    amount_received: 0,
    application: null,
    application_fee_amount: null,
    automatic_payment_methods: isAutomatic
      ? { allow_redirects: automatic?.allow_redirects ?? "always", enabled: true }
      : null,
    canceled_at: null,
    cancellation_reason: null,
    capture_method: params.capture_method ?? "automatic_async",
    client_secret: `${id}_secret_${randomText(25)}`,
    confirmation_method: "automatic",
    created: call.nowSeconds,
    currency,
    customer: null,
    customer_account: null,
    description: textOrNull(params.description),
    excluded_payment_method_types: null,
    last_payment_error: null,
    latest_charge: null,
    livemode: false,
    managed_payments: null,
    metadata: changeMetadata({}, params.metadata),
    next_action: null,
    on_behalf_of: null,
    payment_method: method?.id ?? null,
    payment_method_configuration_details: null,
    payment_method_options: {
      card: {
        installments: null,
        mandate_options: null,
        network: null,
        request_three_d_secure: "automatic",
      },
    },
    payment_method_types: ["card"],
    payment_record: null,
    processing: null,
    receipt_email: textOrNull(params.receipt_email),
    review: null,
    setup_future_usage: null,
    shipping: null,
    source: null,
    statement_descriptor: textOrNull(params.statement_descriptor),
    statement_descriptor_suffix: textOrNull(params.statement_descriptor_suffix),
    status: method === undefined ? "requires_payment_method" : "requires_confirmation",
    transfer_data: null,
    transfer_group: textOrNull(params.transfer_group),
  };
}

/** Empty takes a text away. */
export function textOrNull(value: string | undefined): string | null {
  return value === undefined || value === "" ? null : value;
}
