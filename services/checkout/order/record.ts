import type { Attestation, Intent } from "#common/intent/intent.ts";

export type PaymentMethod = "CARD" | "BALANCE";

/** How far a checkout has come; checkout.proto says what each means. */
export type CheckoutState =
  | "CREATED"
  | "AWAITING_SIGNATURE"
  | "AWAITING_PAYMENT"
  | "PAID"
  | "CLEARED"
  | "CANCELLED"
  | "FAILED"
  | "PARTLY_REFUNDED"
  | "REFUNDED";

/** A number of units of a product. */
export interface Item {
  readonly sku: string;
  /** 1 to 10,000. */
  readonly quantity: number;
}

/** An order, as it is asked for and as it stands. */
export interface Order {
  /** UUIDv7: the id of the first purchase intent. It names the checkout. */
  readonly intentId: string;
  readonly merchantId: string;
  readonly orderId: string;
  /** Who buys, EIP-55. */
  readonly wallet: string;
  /** True: the merchant or its server made it, and its id is one of the merchant's own; else one of the wallet's. */
  readonly merchantsOwn: boolean;
  readonly paymentMethod: PaymentMethod;
  readonly items: readonly Item[];
  /** Minor units of `ledger`. */
  readonly amount: bigint;
  readonly ledger: number;
  readonly createTimeMs: number;
  /** When it is cancelled if it is not paid. */
  readonly expireTimeMs: number;
  readonly state: CheckoutState;
  /** "" until there is one. */
  readonly paymentIntentId: string;
  /** 65 bytes as `0x` hex, or "": BALANCE, once the wallet has signed. */
  readonly walletSignature: string;
  /** The ErrorReason of the last payment that failed, or of the checkout's own failure, without its prefix; or "". */
  readonly failureReason: string;
  readonly declineCode: string;
  /** True: the card has paid and the purchase will never clear, so the payment goes back. */
  readonly returnOwed: boolean;
  /** The Stripe refund that gave such a payment back; or "". */
  readonly returnedRefundId: string;
  /** Counts up with every change. */
  readonly revision: bigint;
}

/** One step that a checkout took. */
export interface Transition {
  /** Undefined for the first. */
  readonly from: CheckoutState | undefined;
  readonly to: CheckoutState;
  readonly timeMs: number;
  /** At most 256 characters of printable ASCII. */
  readonly cause: string;
}

/** What an entry does to the ledger. */
export type EntryKind = "PURCHASE" | "REFUND" | "CORRECTION" | "FULFILMENT";
/** CORRECTED: it cleared, and a correction took it back. */
export type EntryState = "PENDING" | "CLEARED" | "FAILED" | "CORRECTED";

/** An amount of one good of one item, and who bears it. */
export interface Portion {
  readonly sku: string;
  /** The obligation's account of the good. */
  readonly accountId: bigint;
  readonly amount: bigint;
  /** OBLIGATION: the goods are still owed. LOSSES: they were handed over. */
  readonly bearer: "OBLIGATION" | "LOSSES";
}

/** An intent that was made for an entry. One that dies may be followed by a successor; at most one of all clears. */
export interface Attempt {
  readonly intent: Intent;
  readonly attestation: Attestation | undefined;
  /** DEAD: Clearing has made final that it never clears. */
  readonly state: "PENDING" | "CLEARED" | "DEAD";
  readonly createTimeMs: number;
  /** Nanoseconds of the ledger's clock; undefined unless CLEARED. */
  readonly commitTimestamp: bigint | undefined;
}

/** One effect that a checkout has, or is to have, on the ledger. It happens once or never. */
export interface Entry {
  /** The id of its first intent. */
  readonly entryId: string;
  readonly kind: EntryKind;
  readonly state: EntryState;
  /** REFUND: what goes back. CORRECTION: what comes back. FULFILMENT: what leaves the obligations. */
  readonly portions: readonly Portion[];
  /** FULFILMENT and refunds by item: which items. */
  readonly items: readonly Item[];
  /** REFUND of a card: "" until Stripe has it. */
  readonly stripeRefundId: string;
  /** REFUND: made at Stripe, not here. */
  readonly external: boolean;
  /** CORRECTION: the refund that it takes back; else "". */
  readonly correctsEntryId: string;
  readonly createTimeMs: number;
  /** Oldest first; at least one. */
  readonly attempts: readonly Attempt[];
}

/** All that is known of a checkout. */
export interface CheckoutRecord {
  readonly order: Order;
  /** Oldest first. */
  readonly transitions: readonly Transition[];
  /** Oldest first; the first is the PURCHASE. */
  readonly entries: readonly Entry[];
}

/** The sum of an entry's portions. */
export function entryAmount({ portions }: Pick<Entry, "portions">): bigint {
  return portions.reduce((sum, { amount }) => sum + amount, 0n);
}

/** The intent that an entry stands or falls with now. */
export function currentAttempt(entry: Entry): Attempt {
  const attempt = entry.attempts.at(-1);
  if (attempt === undefined) throw new Error(`entry ${entry.entryId} has no intent`);
  return attempt;
}

/** The purchase of a checkout. */
export function purchaseOf({ order, entries }: Pick<CheckoutRecord, "order" | "entries">): Entry {
  const purchase = entries.find(({ kind }) => kind === "PURCHASE");
  if (purchase === undefined) throw new Error(`checkout ${order.intentId} has no purchase`);
  return purchase;
}

/** The attempt of an entry that cleared, or undefined. */
export function clearedAttempt(entry: Entry): Attempt | undefined {
  return entry.attempts.find(({ state }) => state === "CLEARED");
}
