import { zeroWallet } from "#common/address.ts";
import type { Caller } from "#common/caller.ts";
import type { AttestedIntent } from "#common/intent/intent.ts";
import { walletAccountId, walletAccountIds } from "./wallet-account.ts";

/** Who looks at the ledger. */
export interface Viewer {
  /** The wallet that he is bound to, EIP-55. */
  readonly wallet: string | undefined;
  /** The merchant that he is bound to. */
  readonly merchant: string | undefined;
  /** Tells him from others, as what is made for him may be kept for him; undefined for all who see everything. */
  readonly key: string | undefined;
  /** True if the account is his to see. */
  sees(accountId: bigint): boolean;
}

/** Sees everything: operators and services. */
export const everyone: Viewer = {
  wallet: undefined,
  merchant: undefined,
  key: undefined,
  sees: () => true,
};

/** The viewer of a credential. */
export function viewerOf({ wallet, merchant }: Caller): Viewer {
  if (merchant !== undefined) {
    return { wallet: undefined, merchant, key: `merchant ${merchant}`, sees: () => false };
  }
  if (wallet === undefined) return everyone;
  const own = new Set(walletAccountIds(wallet));
  return { wallet, merchant: undefined, key: wallet, sees: (accountId) => own.has(accountId) };
}

/** A leg of an intent: a posting, or the transfer that it became. */
export interface Leg {
  readonly debitAccountId: bigint;
  readonly creditAccountId: bigint;
  readonly ledger: number;
}

/** True if a viewer owns an account on a side of the leg. */
export function touchesOwn(viewer: Viewer, leg: Omit<Leg, "ledger">): boolean {
  return viewer.sees(leg.debitAccountId) || viewer.sees(leg.creditAccountId);
}

/** What a viewer sees of an intent. */
export interface Visible<Own extends Leg> {
  /** Whether anything is kept from him. */
  readonly masked: boolean;
  /** His own legs. */
  readonly legs: readonly Own[];
  /** How many legs there are. */
  readonly legCount: number;
  /**
   * The evidence, undefined if there is none. If it is masked: id, phase, times, digest, signature, signer and tree, and his
   * own postings. Everything else is empty, and so is the wallet unless it is nobody's or stands on a side of his leg.
   */
  readonly evidence: AttestedIntent | undefined;
}

/**
 * The one rule of what is visible, wherever an intent or its transfers are told, filtered or found: whoever owns an
 * account on a side of one leg sees that the intent exists and how it was attested, and his own legs. Nothing of the
 * legs of others, not even by a hash: the reference may be what keeps the digest from being guessed. All of it sees
 * only in whose name it is, if all legs are his; a merchant sees what names him, without the wallet's signature. The
 * approvals of the house are seen by nobody who is bound.
 * Undefined: he sees nothing of it. `legs`: all there are.
 */
export function visibleTo<Own extends Leg>(
  viewer: Viewer,
  evidence: AttestedIntent | undefined,
  legs: readonly Own[],
): Visible<Own> | undefined {
  const legCount = legs.length;
  if (viewer === everyone) return { masked: false, legs, legCount, evidence };
  if (viewer.merchant !== undefined) {
    if (evidence?.intent.merchantId !== viewer.merchant) return undefined;
    const attestation = { ...evidence.attestation, walletSignature: "", approvals: undefined };
    return { masked: false, legs, legCount, evidence: { ...evidence, attestation } };
  }
  const own = legs.filter((leg) => touchesOwn(viewer, leg));
  if (own.length === 0) return undefined;
  const isHis = evidence === undefined || evidence.intent.wallet === viewer.wallet;
  if (isHis && own.length === legCount) {
    return { masked: false, legs, legCount, evidence: evidence && withoutApprovals(evidence) };
  }
  return {
    masked: true,
    legs: own,
    legCount,
    evidence: evidence && maskEvidence(viewer, evidence, own),
  };
}

/** Who in the house approves is the house's to know. */
function withoutApprovals(evidence: AttestedIntent): AttestedIntent {
  const { attestation } = evidence;
  if (attestation.approvals === undefined) return evidence;
  return { ...evidence, attestation: { ...attestation, approvals: undefined } };
}

function maskEvidence(
  viewer: Viewer,
  { intent, attestation }: AttestedIntent,
  own: readonly Leg[],
): AttestedIntent {
  const { digest, signature, signer, tree } = attestation;
  return {
    intent: {
      intentId: intent.intentId,
      phase: intent.phase,
      issueTime: intent.issueTime,
      expireTime: intent.expireTime,
      timeoutSeconds: intent.timeoutSeconds,
      postings: intent.postings.filter((posting) => touchesOwn(viewer, posting)),
      wallet: visibleWallet(intent.wallet, own),
      merchantId: "",
      reference: "",
      corrects: "",
      pendingIntentId: "",
    },
    attestation: {
      digest,
      signature,
      signer,
      walletSignature: "",
      ...(tree === undefined ? {} : { tree }),
    },
  };
}

/** The wallet in whose name an intent is, if nobody's or on a side of one of the legs; else "". */
function visibleWallet(wallet: string, legs: readonly Leg[]): string {
  const isThere = legs.some(({ ledger, debitAccountId, creditAccountId }) => {
    const id = walletAccountId(wallet, ledger);
    return id === debitAccountId || id === creditAccountId;
  });
  return wallet === zeroWallet || isThere ? wallet : "";
}
