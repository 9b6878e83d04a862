import type { Approval } from "#common/approval/approval.ts";

/** What an intent does to the ledger. */
export type Phase = "IMMEDIATE" | "PENDING" | "POST_PENDING" | "VOID_PENDING";

/** One debit and one credit of the same amount. */
export interface Posting {
  /** u128. */
  readonly debitAccountId: bigint;
  /** u128. */
  readonly creditAccountId: bigint;
  /** u128, minor units of `ledger`. */
  readonly amount: bigint;
  /** u32. */
  readonly ledger: number;
  /** u16: the posting rule. */
  readonly code: number;
}

/** What somebody wants, in the form that is signed. */
export interface Intent {
  /** UUIDv7, canonical lower case. */
  readonly intentId: string;
  readonly phase: Phase;
  /** EIP-55 address; the zero address for house entries. */
  readonly wallet: string;
  readonly merchantId: string;
  readonly reference: string;
  /** 1 to 64. */
  readonly postings: readonly Posting[];
  /** Digest of the corrected intent as lower-case `0x` hex, or "". */
  readonly corrects: string;
  /** UUIDv7 of the pending intent, or "". */
  readonly pendingIntentId: string;
  /** Seconds; 0 = never expires. PENDING only. */
  readonly timeoutSeconds: number;
  /** Unix seconds. */
  readonly issueTime: bigint;
  /** Unix seconds. */
  readonly expireTime: bigint;
}

/** Signatures under an intent. All values are lower-case `0x` hex but the signer, which is EIP-55. */
export interface Attestation {
  /** 32 bytes. */
  readonly digest: string;
  /** 65 bytes: r, s, v. */
  readonly signature: string;
  readonly signer: string;
  /** 65 bytes, or "". */
  readonly walletSignature: string;
  /** At most 16; absent where there are none. */
  readonly approvals?: readonly Approval[] | undefined;
  /** Present where the signature is over a tree of digests, of which this one is a leaf. */
  readonly tree?: AttestedTree | undefined;
}

/** The place of a digest in a tree that was signed. */
export interface AttestedTree {
  /** The proof's bytes as lower-case `0x` hex; not checked yet. */
  readonly proof: string;
  /** When the tree was signed, Unix seconds. */
  readonly issueTime: bigint;
}

/** An intent with its attestation: what PostgreSQL keeps as evidence. */
export interface AttestedIntent {
  readonly intent: Intent;
  readonly attestation: Attestation;
}

/** The most postings that one intent may hold. */
export const postingsMax = 64;
