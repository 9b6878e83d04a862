import type { CallLimit } from "./checkout-ports.ts";

/** Something that Stripe has told. It is only a hint: what it says is fetched again before anything moves. */
export interface StripeEvent {
  /** 1 to 255 letters, digits and underscores. */
  readonly eventId: string;
  /** Such as `payment_intent.succeeded`; at most 128 characters. */
  readonly type: string;
  /** The PaymentIntent that it concerns; "" if none. */
  readonly paymentIntentId: string;
  /** When Stripe made it, epoch milliseconds by Stripe's clock, to the second. */
  readonly createTimeMs: number;
}

/** Why a webhook is refused. OUTSIDE_WINDOW: its signature is right, and too old or too new. */
export type WebhookRefusal =
  | "SIGNATURE_MISSING"
  | "SIGNATURE_INVALID"
  | "OUTSIDE_WINDOW"
  | "BODY_INVALID";

/** What came of checking a webhook. */
export type VerifiedWebhook =
  | { readonly event: StripeEvent; readonly refusal?: never }
  | { readonly event?: never; readonly refusal: WebhookRefusal };

/** A page of events, newest first. */
export interface StripeEventPage {
  readonly events: readonly StripeEvent[];
  /** The id to go on after; undefined if this is the last page. */
  readonly next: string | undefined;
}

/** Stripe's list of what it has told in the last 30 days. Throws PAYMENTS_UNAVAILABLE. */
export interface StripeEvents {
  /** A page of the events that Stripe made at `sinceMs` or later, after the event `after`. At most 20 types. */
  list(
    request: {
      readonly sinceMs: number;
      readonly types: readonly string[];
      readonly after: string | undefined;
    },
    limit: CallLimit,
  ): Promise<StripeEventPage>;
}
