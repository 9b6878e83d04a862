import type { CallLimit } from "#common/deadline.ts";

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

/** What became of an event; checkout_service.proto says what each means. */
export type WebhookState = "PENDING" | "DONE" | "IGNORED" | "DEAD";

/** An event as it is stored. */
export interface StoredWebhook extends StripeEvent {
  readonly state: WebhookState;
  /** How often it was begun, counted anew by a replay. */
  readonly attempts: number;
  /** Why the last attempt failed, at most 512 characters of printable ASCII; "" if it did not. */
  readonly lastError: string;
  readonly receiveTimeMs: number;
  /** When an attempt ended for the last time; undefined if none has. */
  readonly processTimeMs: number | undefined;
}

/** How an attempt ended. */
export type AttemptEnd =
  | { readonly state: "DONE" | "IGNORED" }
  | { readonly state: "DEAD"; readonly lastError: string }
  /** It is tried again. */
  | { readonly state: "PENDING"; readonly lastError: string; readonly delayMs: number };

/** What waits, and what waits for an operator. */
export interface WebhookBacklog {
  readonly pending: number;
  readonly dead: number;
  /** How long the oldest of those pending has waited, in milliseconds; 0 if none is. */
  readonly oldestPendingMs: number;
}

/** Where events are kept, each once. Throws RECORDS_UNAVAILABLE. */
export interface WebhookStore {
  /** Stores those that are not there yet; at most 1,000. Returns the ids of those that were new. */
  insert(events: readonly StripeEvent[]): Promise<string[]>;
  /**
   * Begins an attempt of at most `limit` events that are due, the longest due first. Nobody else takes them for `leaseMs`;
   * then they are due again, unless the attempt has ended.
   */
  claim(limit: number, leaseMs: number): Promise<StoredWebhook[]>;
  /** Writes how an attempt ended, unless a later one has begun. */
  finish(event: Pick<StoredWebhook, "eventId" | "attempts">, end: AttemptEnd): Promise<void>;
  /** Takes an attempt back as if it had not begun. */
  release(event: Pick<StoredWebhook, "eventId" | "attempts">): Promise<void>;
  /** Newest first, in this state or in any, after a position that an earlier page gave; at most `limit`. */
  list(
    filter: { readonly state: WebhookState | undefined },
    after: string | undefined,
    limit: number,
  ): Promise<WebhookPage>;
  /** Makes an event due at once, whatever became of it. Undefined: it is unknown. */
  replay(eventId: string): Promise<StoredWebhook | undefined>;
  readBacklog(): Promise<WebhookBacklog>;
  /**
   * Takes the sweep for `holdMs`, in which nobody else gets it. Returns how far it has come by Stripe's clock, epoch
   * milliseconds; undefined if somebody has it.
   */
  claimSweep(holdMs: number): Promise<number | undefined>;
  /** Moves the sweep forward, never back. */
  advanceSweep(toMs: number): Promise<void>;
}

/** A page of stored events, newest first. */
export interface WebhookPage {
  readonly events: readonly StoredWebhook[];
  /** The position of the last; undefined if this is the last page. */
  readonly next: string | undefined;
}
