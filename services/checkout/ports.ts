import type { CallLimit } from "#common/deadline.ts";
import type { Attestation, AttestedIntent, Intent } from "#common/intent/intent.ts";
import type {
  CheckoutRecord,
  CheckoutState,
  EntryKind,
  EntryState,
  Item,
  Order,
  Portion,
} from "./order/record.ts";

/** A new entry with its first intent. */
export interface NewEntry {
  readonly kind: EntryKind;
  readonly intent: Intent;
  readonly portions: readonly Portion[];
  readonly items: readonly Item[];
  readonly stripeRefundId: string;
  readonly external: boolean;
  readonly correctsEntryId: string;
}

/** What is to be written about a checkout, all of it or nothing. */
export interface Change {
  /** With the cause, which goes into the record of transitions. */
  readonly state?: { readonly to: CheckoutState; readonly cause: string };
  readonly order?: Partial<
    Pick<
      Order,
      | "paymentIntentId"
      | "walletSignature"
      | "failureReason"
      | "declineCode"
      | "returnOwed"
      | "returnedRefundId"
    >
  >;
  readonly newEntry?: NewEntry;
  readonly entries?: readonly EntryChange[];
  /** A successor for an entry. */
  readonly newAttempt?: { readonly entryId: string; readonly intent: Intent };
  readonly attempt?: {
    readonly intentId: string;
    readonly attestation?: Attestation;
    readonly state?: "CLEARED" | "DEAD";
    readonly commitTimestamp?: bigint;
  };
}

/** What changes of an entry. */
export interface EntryChange {
  readonly entryId: string;
  readonly state?: EntryState;
  readonly stripeRefundId?: string;
}

/** Which checkouts a list shows. Empty or undefined is any. */
export interface CheckoutFilter {
  readonly merchantId: string;
  readonly wallet: string;
  readonly state: CheckoutState | undefined;
}

/** By what an order is found. */
export interface StoredOrderKey {
  readonly merchantId: string;
  readonly orderId: string;
  /** A wallet, EIP-55: among its orders. MERCHANT: among those that the merchant made itself. ANY: among all. */
  readonly owner: string;
}

/** Where checkouts are kept. Throws RECORDS_UNAVAILABLE. */
export interface CheckoutStore {
  /**
   * Stores an order with its purchase intent and its first transitions, unless its intent id or its order key is
   * taken. Returns what is stored under either; `inserted` tells whether it is new. Throws LIMIT_EXCEEDED if more than
   * `openMax` would then be open: unpaid, of this wallet, and made by the wallet or for the same merchant. Undefined: no bound.
   */
  insert(
    order: Order,
    purchase: Intent,
    transitions: readonly { readonly to: CheckoutState; readonly cause: string }[],
    openMax: number | undefined,
  ): Promise<{ readonly record: CheckoutRecord; readonly inserted: boolean }>;
  read(intentId: string): Promise<CheckoutRecord | undefined>;
  /** The orders of a key: at most one, but for "ANY" at most two, which says that there are several. */
  findOrders(key: StoredOrderKey): Promise<readonly CheckoutRecord[]>;
  /** By the PaymentIntent's id. Returns the checkout's intent id. */
  findByPayment(paymentIntentId: string): Promise<string | undefined>;
  /** Newest first, after `after` (an intent id, exclusive); at most `limit`. */
  list(filter: CheckoutFilter, after: string | undefined, limit: number): Promise<CheckoutRecord[]>;
  /**
   * Locks the checkout, asks `decide` what to write, and writes it as one transaction; undefined writes nothing.
   * `decide` is pure and may throw to refuse. Wakes those who watch. Returns the record as it is then.
   * Throws CHECKOUT_NOT_FOUND.
   */
  change(
    intentId: string,
    decide: (record: CheckoutRecord) => Change | undefined,
  ): Promise<CheckoutRecord>;
  /**
   * Takes at most `limit` checkouts that are due, and puts each off so that no other process takes it: for longer the
   * longer nothing has changed, between five seconds and five minutes.
   */
  claimDue(limit: number): Promise<DueCheckout[]>;
  /** Those that have been due for `forMs` milliseconds and more without a change. */
  readOverdue(forMs: number): Promise<Overdue>;
}

/** A checkout that is to be brought on. */
export interface DueCheckout {
  readonly intentId: string;
  /** For how long it has been due without a change, milliseconds. */
  readonly overdueMs: number;
}

/** How much is overdue. */
export interface Overdue {
  readonly count: number;
  /** Of the oldest, milliseconds; 0 if none is. */
  readonly oldestMs: number;
}

/**
 * Attestor and Clearing. Throw DomainError by the reason that the peer gave; without an answer of the peer CANCELLED,
 * OUTCOME_UNKNOWN, RECORDS_UNAVAILABLE (Attestor) or LEDGER_UNAVAILABLE (Clearing).
 */
export interface Peers {
  openWallet(wallet: string, ledger: number, limit: CallLimit): Promise<void>;
  attest(intent: Intent, walletSignature: string, limit: CallLimit): Promise<Attestation>;
  /** Returns the ledger's timestamp in nanoseconds. */
  clear(evidence: AttestedIntent, limit: CallLimit): Promise<bigint>;
  /** The attestation with which Clearing was asked to clear an intent of this id; undefined: it never was. */
  findAttestation(intentId: string, limit: CallLimit): Promise<Attestation | undefined>;
}

/** A PaymentIntent, as Stripe tells it now. */
export interface Payment {
  readonly id: string;
  readonly status:
    | "requires_payment_method"
    | "requires_confirmation"
    | "requires_action"
    | "processing"
    | "requires_capture"
    | "canceled"
    | "succeeded";
  /** Minor units asked for. */
  readonly amount: bigint;
  /** Minor units that the card was charged. */
  readonly amountReceived: bigint;
  /** ISO 4217, lower case. */
  readonly currency: string;
  /** The checkout that its metadata names; "" if none. */
  readonly intentId: string;
  /** Secret: it pays the PaymentIntent. */
  readonly clientSecret: string;
  /** Why the last attempt to pay failed. */
  readonly failure:
    | {
        readonly reason: "PAYMENT_DECLINED" | "PAYMENT_ACTION_REQUIRED";
        readonly declineCode: string;
      }
    | undefined;
}

/** A refund, as Stripe tells it now. */
export interface PaymentRefund {
  readonly id: string;
  readonly status: "pending" | "requires_action" | "succeeded" | "failed" | "canceled";
  readonly amount: bigint;
  readonly currency: string;
  /** The entry that its metadata names; "" for one that was made elsewhere. */
  readonly entryId: string;
}

/** Stripe. Throws PAYMENTS_UNAVAILABLE when it does not answer or refuses for now. */
export interface Payments {
  /** The same intent id gives the same PaymentIntent. */
  create(
    request: {
      readonly intentId: string;
      readonly digest: string;
      readonly amount: bigint;
      readonly ledger: number;
      readonly merchantId: string;
      readonly orderId: string;
      readonly wallet: string;
    },
    limit: CallLimit,
  ): Promise<Payment>;
  read(paymentIntentId: string, limit: CallLimit): Promise<Payment | undefined>;
  /** Cancels unless it is too late, and returns the payment as it is then. */
  cancel(paymentIntentId: string, limit: CallLimit): Promise<Payment>;
  /** The same entry id gives the same refund. Throws RefundRefused if Stripe refuses for good. */
  refund(
    request: {
      readonly paymentIntentId: string;
      readonly entryId: string;
      readonly amount: bigint;
    },
    limit: CallLimit,
  ): Promise<PaymentRefund>;
  /** Every refund of a payment, oldest first. */
  refunds(paymentIntentId: string, limit: CallLimit): Promise<PaymentRefund[]>;
}

/** Stripe refuses a refund for good. What that means for a caller depends on who asked for it, so it is no reason. */
export class RefundRefused extends Error {
  override readonly name = "RefundRefused";
  readonly paymentIntentId: string;

  constructor(paymentIntentId: string, cause: unknown) {
    super("the payment cannot be refunded, or no longer", { cause });
    this.paymentIntentId = paymentIntentId;
  }
}
