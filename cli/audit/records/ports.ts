import type { LedgerIdentity } from "#common/ledger/identity.ts";

/** An intent, as far as the ids and digests of its transfers follow from it. */
export interface IntentKey {
  readonly intentId: string;
  /** 32 bytes as `0x` hex. */
  readonly digest: string;
  /** How many transfers it has. */
  readonly legs: number;
}

/** A row of evidence, as far as it says what must be in the ledger. */
export interface EvidenceEntry extends IntentKey {
  /** When it was stored, by PostgreSQL's clock: nanoseconds. */
  readonly storedNs: bigint;
  /** When the intent expires, nanoseconds. */
  readonly expireNs: bigint;
  /** Why the intent is dead, if that is recorded, and when it was. */
  readonly failure: { readonly reason: string; readonly failedNs: bigint } | undefined;
}

/** A durable sign, beside the ledger, that an intent was in it. */
export interface Acknowledgement {
  /** Who has written it down, and what, in words. */
  readonly by: string;
  /** At which instant it was in the ledger, nanoseconds. */
  readonly ns: bigint;
}

/** Somebody has told the records to belong to another ledger, or to this one although it has lost something. */
export interface Adoption {
  /** By PostgreSQL's clock, nanoseconds. */
  readonly adoptNs: bigint;
  /** When the ledger before it was born, nanoseconds; undefined if nobody knew. */
  readonly oldBirth: bigint | undefined;
  /** The newest row that was seen of the ledger before it, nanoseconds; undefined if nobody knew. */
  readonly oldMark: bigint | undefined;
}

/** An order that Checkout counts as cleared, given back in part or whole. */
export interface OrderEntry {
  /** The id of its first purchase intent. */
  readonly checkoutId: string;
  readonly merchantId: string;
  readonly orderId: string;
  readonly state: string;
  readonly changeNs: bigint;
  /** Checkout's own rows name an intent that cleared: for the purchase; for a refund; for every effect that it counts. */
  readonly isPurchased: boolean;
  readonly isRefunded: boolean;
  readonly isBacked: boolean;
}

/** An intent that Checkout made for an order, whose end it knows. */
export interface OrderAttempt extends IntentKey {
  readonly checkoutId: string;
  readonly merchantId: string;
  readonly orderId: string;
  readonly orderState: string;
  /** PURCHASE, REFUND, CORRECTION or FULFILMENT. */
  readonly kind: string;
  /** DEAD: Checkout was told that it never clears. */
  readonly state: "CLEARED" | "DEAD";
  /** What Checkout was told: of the last leg, nanoseconds; 0 unless CLEARED. */
  readonly commitNs: bigint;
  readonly createNs: bigint;
  /** Of the evidence under the same intent id; undefined if there is none. */
  readonly evidenceDigest: string | undefined;
}

/**
 * What an audit reads of the records to hold them against the ledger. Pages come in the order of ids, from the one after
 * `after` on. Tables that are not there yet hold nothing. All reject with RECORDS_UNAVAILABLE, or with a Problem if they
 * may not be read.
 */
export interface RecordsReader {
  identity(): Promise<LedgerIdentity | undefined>;
  /** Oldest first. */
  adoptions(): Promise<readonly Adoption[]>;
  hasEvidence(): Promise<boolean>;
  evidence(after: string, limit: number): Promise<readonly EvidenceEntry[]>;
  /** The signs that intents were in the ledger, by intent id. */
  acknowledged(intentIds: readonly string[]): Promise<ReadonlyMap<string, Acknowledgement>>;
  /** The accounts between which intents move, by intent id. */
  accountsOf(intentIds: readonly string[]): Promise<ReadonlyMap<string, readonly bigint[]>>;
  /** By checkout id. */
  orders(after: string, limit: number): Promise<readonly OrderEntry[]>;
  /** By intent id. */
  attempts(after: string, limit: number): Promise<readonly OrderAttempt[]>;
}

/** Before every id. */
export const firstId = "00000000-0000-0000-0000-000000000000";
