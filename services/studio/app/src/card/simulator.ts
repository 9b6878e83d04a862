import { StudioError } from "../mesh/problem.ts";
import type { CardOutcome } from "./outcome.ts";

// What Stripe.js does at Stripe, done by hand at the mesh's own simulator, which Envoy has at this path.
const path = "/stripe-sim/v1";

/** A card of the simulator. */
export interface TestCard {
  readonly brand: string;
  readonly number: string;
  /** What it does, for people. */
  readonly does: string;
  readonly kind: "pays" | "asks" | "fails";
}

/** Stripe's published test cards; the simulator knows no others. */
export const testCards: readonly [TestCard, ...TestCard[]] = [
  { brand: "Visa", number: "4242 4242 4242 4242", does: "Pays", kind: "pays" },
  { brand: "Mastercard", number: "5555 5555 5555 4444", does: "Pays", kind: "pays" },
  { brand: "Visa", number: "4000 0025 0000 3155", does: "Asks the bank first", kind: "asks" },
  { brand: "Visa", number: "4000 0000 0000 0002", does: "Is declined", kind: "fails" },
  { brand: "Visa", number: "4000 0000 0000 9995", does: "Insufficient funds", kind: "fails" },
  { brand: "Visa", number: "4000 0000 0000 0069", does: "Has expired", kind: "fails" },
];

export interface SimulatedPayment {
  readonly publishableKey: string;
  /** Of the PaymentIntent: its id, "_secret_" and a secret. */
  readonly clientSecret: string;
  readonly card: TestCard;
  readonly returnUrl: string;
}

/** Pays with a test card. Rejects with StudioError PAYMENTS_UNAVAILABLE if the simulator does not answer. */
export async function payAtSimulator(payment: SimulatedPayment): Promise<CardOutcome> {
  const { publishableKey, clientSecret, card, returnUrl } = payment;
  const intent = `payment_intents/${clientSecret.split("_secret_", 1)[0]}`;
  const send = (to: string, params: Readonly<Record<string, string>>) =>
    call(publishableKey, to, params);
  const method = await send("payment_methods", {
    type: "card",
    "card[number]": card.number,
    "card[exp_month]": "12",
    "card[exp_year]": String(new Date().getFullYear() + 3),
    "card[cvc]": "123",
  });
  if (method.error !== undefined) return outcomeOf(method);
  const confirm = { client_secret: clientSecret, payment_method: method.id ?? "" };
  try {
    const answer = await send(`${intent}/confirm`, { ...confirm, return_url: returnUrl });
    if (answer.error === undefined || answer.error.type === "card_error") return outcomeOf(answer);
  } catch {
    // The answer is lost, and the payment may be made.
  }
  return outcomeOf(await call(publishableKey, `${intent}?client_secret=${clientSecret}`));
}

/** Of Stripe's PaymentIntents, payment methods and errors what is needed here. */
export interface StripeAnswer {
  readonly id?: string;
  readonly status?: string;
  readonly next_action?: { readonly redirect_to_url?: { readonly url: string } } | null;
  readonly last_payment_error?: StripeRefusal | null;
  readonly error?: StripeRefusal;
}

export interface StripeRefusal {
  readonly type?: string;
  readonly code?: string;
  readonly decline_code?: string;
  readonly message?: string;
}

/** What Stripe's answer means. Throws StudioError PAYMENTS_UNAVAILABLE for one that is no answer to a shopper. */
export function outcomeOf(answer: StripeAnswer): CardOutcome {
  const { status, error, next_action, last_payment_error } = answer;
  if (error?.type === "card_error") return declined(error);
  switch (status) {
    case "succeeded":
    case "processing":
      return { kind: "accepted" };
    case "canceled":
      return { kind: "cancelled" };
    case "requires_action": {
      const url = next_action?.redirect_to_url?.url;
      if (url !== undefined) return { kind: "authenticate", url };
      break;
    }
    case "requires_payment_method":
      if (last_payment_error) return declined(last_payment_error);
  }
  throw unavailable(error?.message ?? `the payment is ${status}`);
}

function declined({ message = "", code = "", decline_code = code }: StripeRefusal): CardOutcome {
  return { kind: "declined", message, code: decline_code };
}

function unavailable(message: string): StudioError {
  return new StudioError("PAYMENTS_UNAVAILABLE", message);
}

const callMsMax = 15_000;

async function call(
  publishableKey: string,
  to: string,
  params?: Readonly<Record<string, string>>,
): Promise<StripeAnswer> {
  try {
    const response = await fetch(`${path}/${to}`, {
      method: params === undefined ? "GET" : "POST",
      headers: { authorization: `Bearer ${publishableKey}` },
      ...(params === undefined ? {} : { body: new URLSearchParams(params) }),
      signal: AbortSignal.timeout(callMsMax),
    });
    return (await response.json()) as StripeAnswer;
  } catch (error) {
    throw unavailable(error instanceof Error ? error.message : String(error));
  }
}
