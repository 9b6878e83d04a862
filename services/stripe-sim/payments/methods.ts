import type { Stripe } from "stripe";
import {
  changeMetadata,
  choice,
  clearableText,
  integer,
  metadata,
  object,
  type Read,
  required,
  text,
} from "../http/params.ts";
import type { Call } from "../objects/call.ts";
import {
  invalidRequest,
  parameterMissing,
  resourceMissing,
  StripeSimError,
} from "../objects/errors.ts";
import { newId } from "../objects/ids.ts";
import { cardByName, cardByNumber, hasCheckDigit, type TestCard } from "./test-cards.ts";

const address = object({
  city: clearableText(),
  country: clearableText(),
  line1: clearableText(),
  line2: clearableText(),
  postal_code: clearableText(),
  state: clearableText(),
});

/** Of POST /v1/payment_methods, and of `payment_method_data` where a payment is made with it. */
export const paymentMethodParams = {
  type: required(choice("card")),
  card: object({
    number: text(40),
    exp_month: integer(0, 99),
    exp_year: integer(0, 9_999),
    cvc: clearableText(10),
    token: text(),
  }),
  billing_details: object({
    address,
    email: clearableText(800),
    name: clearableText(),
    phone: clearableText(),
  }),
  allow_redisplay: choice("always", "limited", "unspecified"),
  metadata,
};

type Params = Read<typeof paymentMethodParams>;

/** A card as it was given; the number itself ends here. */
interface GivenCard {
  readonly card: TestCard;
  readonly expMonth: number;
  readonly expYear: number;
}

export function createPaymentMethod(call: Call, params: Params): Stripe.PaymentMethod {
  if (params.card === undefined) throw parameterMissing("card");
  const { number, token } = params.card;
  if (token !== undefined) {
    const card = token.startsWith("tok_") ? cardByName(token.slice("tok_".length)) : undefined;
    if (card === undefined) {
      throw resourceMissing("token", token, { param: "card[token]", status: 400 });
    }
    return insertMethod(call, { card, ...laterExpiry(call) }, params);
  }
  if (number === undefined) throw parameterMissing("card[number]");
  if (!call.browser) {
    // So it is at Stripe for all who have not proved that they may handle card numbers.
    throw new StripeSimError(402, {
      type: "invalid_request_error",
      message:
        "Sending credit card numbers directly to the Stripe API is generally unsafe. We suggest you use test tokens that map to the test card you are using, see https://stripe.com/docs/testing.",
    });
  }
  return insertMethod(call, readCard(call, number, params.card), params);
}

function readCard(call: Call, number: string, card: NonNullable<Params["card"]>): GivenCard {
  const digits = number.replaceAll(/[ -]/g, "");
  if (!/^\d{12,19}$/.test(digits) || !hasCheckDigit(digits)) {
    throw cardError("incorrect_number", "number", "Your card number is incorrect.");
  }
  const known = cardByNumber(digits);
  if (known === undefined) {
    throw new StripeSimError(402, {
      type: "card_error",
      code: "card_declined",
      decline_code: "test_mode_live_card",
      message: "Your card was declined. Your request was in test mode, but used a non test card.",
    });
  }
  const { exp_month: expMonth, exp_year: year, cvc } = card;
  if (expMonth === undefined) throw parameterMissing("card[exp_month]");
  if (year === undefined) throw parameterMissing("card[exp_year]");
  const expYear = year < 100 ? 2_000 + year : year;
  if (expMonth < 1 || expMonth > 12) {
    throw cardError(
      "invalid_expiry_month",
      "exp_month",
      "Your card's expiration month is invalid.",
    );
  }
  const today = new Date(call.nowMs);
  const monthsLeft = (expYear - today.getUTCFullYear()) * 12 + expMonth - (today.getUTCMonth() + 1);
  if (monthsLeft < 0 || monthsLeft > 600) {
    throw cardError("invalid_expiry_year", "exp_year", "Your card's expiration year is invalid.");
  }
  if (cvc !== undefined && !/^\d{3,4}$/.test(cvc)) {
    throw cardError("invalid_cvc", "cvc", "Your card's security code is invalid.");
  }
  return { card: known, expMonth, expYear };
}

function cardError(code: string, param: string, message: string): StripeSimError {
  return new StripeSimError(402, { type: "card_error", code, param, message });
}

function laterExpiry(call: Call) {
  const today = new Date(call.nowMs);
  return { expMonth: today.getUTCMonth() + 1, expYear: today.getUTCFullYear() + 1 };
}

function insertMethod(call: Call, given: GivenCard, params: Params): Stripe.PaymentMethod {
  const billing = params.billing_details;
  const orNull = (value: string | undefined) =>
    value === undefined || value === "" ? null : value;
  const method: Stripe.PaymentMethod = {
    id: newId("pm"),
    object: "payment_method",
    allow_redisplay: params.allow_redisplay ?? "unspecified",
    billing_details: {
      address: {
        city: orNull(billing?.address?.city),
        country: orNull(billing?.address?.country),
        line1: orNull(billing?.address?.line1),
        line2: orNull(billing?.address?.line2),
        postal_code: orNull(billing?.address?.postal_code),
        state: orNull(billing?.address?.state),
      },
      email: orNull(billing?.email),
      name: orNull(billing?.name),
      phone: orNull(billing?.phone),
      tax_id: null,
    },
    card: {
      brand: given.card.brand,
      checks: {
        address_line1_check: null,
        address_postal_code_check: null,
        cvc_check: "unchecked",
      },
      country: "US",
      display_brand: given.card.brand,
      exp_month: given.expMonth,
      exp_year: given.expYear,
      funding: given.card.funding,
      generated_from: null,
      last4: given.card.number.slice(-4),
      networks: { available: [given.card.brand], preferred: null },
      regulated_status: "unregulated",
      three_d_secure_usage: { supported: true },
      wallet: null,
    },
    created: call.nowSeconds,
    customer: null,
    customer_account: null,
    livemode: false,
    metadata: changeMetadata({}, params.metadata),
    type: "card",
  };
  call.store.insert("payment_method", method, { card: given.card.name });
  return method;
}

/** Finds a payment method. `pm_card_visa` and its like make a new one at every use, as at Stripe. */
export function findPaymentMethod(
  call: Call,
  id: string,
  where: { readonly param: string; readonly status: 400 | 404 },
): Stripe.PaymentMethod {
  const prefix = "pm_card_";
  const card = id.startsWith(prefix) ? cardByName(id.slice(prefix.length)) : undefined;
  if (card !== undefined) {
    return insertMethod(call, { card, ...laterExpiry(call) }, { type: "card" });
  }
  const stored = call.store.find("payment_method", id);
  if (stored === undefined) throw resourceMissing("PaymentMethod", id, where);
  return stored.body;
}

/** How the card behind a payment method behaves. */
export function cardOf(call: Call, paymentMethodId: string): TestCard {
  const name = call.store.find("payment_method", paymentMethodId)?.hidden["card"] ?? "";
  const card = cardByName(name);
  if (card === undefined) throw new Error(`${paymentMethodId} has no test card`);
  return card;
}

/** Refuses one that has paid: without a customer it pays once. */
export function checkUnused(call: Call, id: string): void {
  if (call.store.find("payment_method", id)?.hidden["used"] === undefined) return;
  throw invalidRequest(
    "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared with a connected account without Customer attachment, or was detached from a Customer. It may not be used again. To use a PaymentMethod multiple times, you must attach it to a Customer first.",
    { param: "payment_method" },
  );
}

export function markUsed(call: Call, id: string): void {
  call.store.hide("payment_method", id, { card: cardOf(call, id).name, used: "yes" });
}
