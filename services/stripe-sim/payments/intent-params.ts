import {
  boolean,
  choice,
  clearableText,
  integer,
  list,
  metadata,
  object,
  required,
  text,
  url,
} from "../http/params.ts";
import { amountMax } from "../objects/money.ts";
import { paymentMethodParams } from "./methods.ts";

const captureMethod = choice("automatic", "automatic_async", "manual");

/** Checked against the currency later, so that what is too small is told as Stripe tells it. */
const amount = integer(1, 999_999_999_999);

export const ownIntentParams = {
  metadata,
  description: clearableText(1_000),
  payment_method: text(),
  payment_method_data: object(paymentMethodParams),
  allowed_payment_method_types: list(choice("card"), 10),
  payment_method_types: list(choice("card"), 10),
  capture_method: captureMethod,
  receipt_email: clearableText(800),
  statement_descriptor: clearableText(22),
  statement_descriptor_suffix: clearableText(22),
  transfer_group: clearableText(),
  customer: text(),
};

const attemptParams = {
  return_url: url,
  off_session: boolean,
  error_on_requires_action: boolean,
  use_stripe_sdk: boolean,
};

export const createIntentParams = {
  ...ownIntentParams,
  ...attemptParams,
  amount: required(amount),
  currency: required(text(10)),
  confirm: boolean,
  confirmation_method: choice("automatic"),
  automatic_payment_methods: object({
    enabled: required(boolean),
    allow_redirects: choice("always", "never"),
  }),
};

export const updateIntentParams = { ...ownIntentParams, amount, currency: text(10) };

export const retrieveIntentParams = { client_secret: text() };

export const confirmIntentParams = {
  ...attemptParams,
  client_secret: text(),
  payment_method: text(),
  payment_method_data: object(paymentMethodParams),
  payment_method_types: list(choice("card"), 10),
  capture_method: captureMethod,
  receipt_email: clearableText(800),
};

export const captureIntentParams = {
  amount_to_capture: integer(1, amountMax),
  final_capture: boolean,
  metadata,
  statement_descriptor: clearableText(22),
  statement_descriptor_suffix: clearableText(22),
};

export const cancelIntentParams = {
  cancellation_reason: choice("abandoned", "duplicate", "fraudulent", "requested_by_customer"),
};
