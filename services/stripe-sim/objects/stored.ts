import type { Stripe } from "stripe";

/** The kinds of objects, in the SDK's own shapes: what does not fit them does not compile. */
export interface Kinds {
  readonly payment_intent: Stripe.PaymentIntent;
  readonly payment_method: Stripe.PaymentMethod;
  readonly charge: Stripe.Charge;
  readonly refund: Stripe.Refund;
  readonly balance_transaction: Stripe.BalanceTransaction;
  readonly webhook_endpoint: Stripe.WebhookEndpoint;
  readonly event: StoredEvent;
}
export type Kind = keyof Kinds;

/** The SDK's Event is a union of hundreds of types; this is what they share. */
export interface StoredEvent {
  readonly id: string;
  readonly object: "event";
  readonly api_version: string;
  readonly created: number;
  readonly data: { readonly object: object; readonly previous_attributes?: object };
  readonly livemode: false;
  readonly pending_webhooks: number;
  readonly request: { readonly id: string | null; readonly idempotency_key: string | null };
  readonly type: string;
}

/** An object of the API: what answers show, and what they do not. */
export interface Stored<T> {
  readonly body: T;
  /** What the simulator alone knows of it, such as how a card behaves. */
  readonly hidden: Readonly<Record<string, string>>;
}

/** Properties that lists can be filtered by. */
export type Filter = Readonly<
  Partial<
    Record<"payment_intent" | "charge" | "transfer_group" | "source" | "type" | "currency", string>
  >
>;

export interface CreatedRange {
  readonly gt?: number;
  readonly gte?: number;
  readonly lt?: number;
  readonly lte?: number;
}

export interface PageQuery<K extends Kind = Kind> {
  readonly kind: K;
  readonly filter: Filter;
  readonly created: CreatedRange;
  /** Types of events; `charge.*` stands for all that begin so. Empty: all. */
  readonly types: readonly string[];
  /** Events that every endpoint has, or that one still waits for; undefined: both. */
  readonly delivered?: boolean | undefined;
  /** Of the object to go on from, and the direction. */
  readonly after: number | undefined;
  readonly before: number | undefined;
  readonly limit: number;
}

/** A webhook to be sent. Times are epoch milliseconds. */
export interface Delivery {
  readonly id: number;
  readonly event: string;
  readonly endpoint: string;
  readonly attempts: number;
  readonly dueMs: number;
  /** How it is falsified; empty if it is not. */
  readonly forgery: string;
}

/** What happens later by itself: `kind` names it, `object` is what it happens to. */
export interface Task {
  readonly id: number;
  readonly kind: string;
  readonly object: string;
  readonly dueMs: number;
}

export interface KeptAnswer {
  readonly path: string;
  readonly fingerprint: string;
  readonly status: number;
  readonly body: string;
  readonly requestId: string;
}
