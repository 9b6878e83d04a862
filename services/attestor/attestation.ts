import { zeroWallet } from "#common/address.ts";
import type { Approval } from "#common/approval/approval.ts";
import type { DigestApproval } from "#common/approval/digest.ts";
import {
  checkApprovalSignatures,
  demandsOf,
  judgeApprovals,
  type Spend,
} from "#common/approval/judge.ts";
import type { Policies } from "#common/approval/policy.ts";
import { requireOwnWallet, requireScope, type ScopedCaller } from "#common/caller.ts";
import { type CallLimit, waitMsUntil } from "#common/deadline.ts";
import { DomainError, invalidField } from "#common/domain-error.ts";
import type { DigestIntent } from "#common/intent/digest.ts";
import type { Attestation, Intent } from "#common/intent/intent.ts";
import {
  type Authority,
  authorityOf,
  checkPostings,
  type RelatedIntents,
  refersToCorrected,
  refersToPending,
} from "#common/intent/posting-rules.ts";
import {
  checkIssued,
  checkLimits,
  checkShape,
  clockSkewSeconds,
  type IntentLimits,
  intentExpired,
  isExpired,
} from "#common/intent/rules.ts";
import { type Signers, signerAt } from "#common/intent/signers.ts";
import { checkWalletSignature, type RecoverAddress } from "#common/intent/verify-attestation.ts";
import type { RateLimit } from "#common/rate-limit.ts";
import type { DigestBatch, EncodeBatch } from "#common/tree/attestation-batch.ts";
import { type ProposalStore, proposalClosed } from "./proposal.ts";
import type { SigningKeys } from "./signing-keys.ts";
import { type RelatedEvidence, readRelated, type Verdict, verify } from "./verdict.ts";

/** What an intent id stands for, once it stands for anything. */
export interface SignedOnce {
  /** 32 bytes as lower-case `0x` hex. */
  readonly digest: string;
  /** Undefined between the two commits: bound to the digest, not signed yet. */
  readonly attestation: Attestation | undefined;
}

/** The memory that makes one id mean one digest, over every replica and for ever. All throw RECORDS_UNAVAILABLE. */
export interface SignOnceStore {
  find(intentId: string): Promise<SignedOnce | undefined>;
  /**
   * Binds an id to a digest, durably, unless it is bound. Returns what it stands for, and whether it did not before. What a
   * new one `spends` of the day is counted with it; APPROVAL_REQUIRED, and nothing is bound, if the day has not so much left.
   */
  bind(
    intentId: string,
    digest: string,
    spends?: readonly Spend[],
  ): Promise<SignedOnce & { readonly isNew: boolean }>;
  /** Throws APPROVAL_REQUIRED if the day has not so much left. Counts nothing. */
  checkDay(spends: readonly Spend[]): Promise<void>;
  /** Stores the attestation of a bound id, unless one is there. Returns the one that is there. */
  keep(intentId: string, attestation: Attestation): Promise<Attestation>;
  /** When an id was bound to this digest, Unix seconds; undefined if it was not. */
  boundTime(intentId: string, digest: string): Promise<bigint | undefined>;
}

/** Who calls, and as whom he proposes. */
export interface AttestCaller extends ScopedCaller {
  /** The token's. */
  readonly subject: string;
}

export interface AttestRequest {
  readonly intent: Intent;
  /** 65 bytes as lower-case `0x` hex, or "". */
  readonly walletSignature: string;
  readonly validateOnly: boolean;
  readonly caller: ScopedCaller & Partial<AttestCaller>;
  /** At most 16. */
  readonly approvals?: readonly Approval[];
  /** How long a signer that is elsewhere is waited for. */
  readonly limit: CallLimit;
}

export interface AttestorPorts {
  readonly digestIntent: DigestIntent;
  readonly digestBatch: DigestBatch;
  /** The 66 bytes whose hash a tree's digest is. */
  readonly encodeBatch: EncodeBatch;
  readonly digestApproval: DigestApproval;
  /** What needs approval, as of now. */
  readonly policies: () => Policies;
  /** Proposals, of which ids that are bound and not signed may be. */
  readonly proposals: Pick<ProposalStore, "find">;
  /** The 66 bytes whose hash the digest is. */
  readonly encodeIntent: (intent: Intent) => Uint8Array;
  readonly store: SignOnceStore;
  readonly evidence: RelatedEvidence;
  readonly keys: SigningKeys;
  /** Who made a signature: as recoverAddress. */
  readonly recover: RecoverAddress;
  readonly signers: () => Signers;
  /** Unix seconds. */
  readonly nowSeconds: () => bigint;
  readonly limits: IntentLimits;
  /** How many intents of a wallet are attested in a minute. House entries, which nobody's wallet signs, are not counted. */
  readonly rate: Pick<RateLimit, "check" | "take" | "giveBack">;
  /** How many signatures a signer makes in a minute: a bound on what whoever gets past everything else can take away. */
  readonly signatures: Pick<RateLimit, "take">;
}

/** The Attestor: checks intents and signs them, one digest for one intent id, ever. */
export interface Attestor {
  /**
   * Attests an intent. The same intent again gives the same attestation, also after its time. With `validateOnly`
   * every check is made, nothing stored or signed, and the signature is "".
   * Throws APPROVAL_REQUIRED, APPROVAL_INVALID, APPROVAL_REJECTED, PROPOSAL_CLOSED, INVALID_FIELD, INTENT_ID_REUSED, INTENT_EXPIRED, INTENT_NOT_YET_VALID, LIMIT_EXCEEDED, RATE_LIMITED,
   * SCOPE_MISSING, WALLET_SIGNATURE_INVALID, RECORDS_UNAVAILABLE, SIGNER_UNAVAILABLE and what checkPostings throws.
   */
  attest(request: AttestRequest): Promise<Attestation>;
  /** Judges an attestation as Clearing would. Throws INVALID_FIELD, RECORDS_UNAVAILABLE. */
  verify(intent: Intent, attestation: Attestation): Promise<Verdict>;
}

export function createAttestor(ports: AttestorPorts): Attestor {
  return {
    attest: (request) => attest(ports, request),
    verify: (intent, attestation) => verify(ports, intent, attestation),
  };
}

async function attest(ports: AttestorPorts, request: AttestRequest): Promise<Attestation> {
  const admitted = await admit(ports, request);
  if (admitted.kind === "KNOWN") return admitted.attestation;
  return signAndKeep(ports, request.intent, admitted.unsigned, request.limit);
}

/** What may be signed now, and is bound to its id; or what needs no signature any more, or none at all. */
export type Admitted =
  | { readonly kind: "BOUND"; readonly unsigned: Omit<Attestation, "signature"> }
  | { readonly kind: "KNOWN"; readonly attestation: Attestation };

/** Makes every check of an intent, counts it, and binds its id to its digest. Throws as attest. */
export async function admit(ports: AttestorPorts, request: AttestRequest): Promise<Admitted> {
  const { intent, walletSignature, validateOnly, caller, approvals = [] } = request;
  checkShape(intent);
  requireOwnWallet(caller, intent.wallet);
  checkScopesAhead(caller, intent);
  const digest = ports.digestIntent(intent);
  if (validateOnly) {
    const known = await findKnown(ports, request, digest);
    if (known !== undefined) return { kind: "KNOWN", attestation: { ...known, signature: "" } };
    const { signer, spends } = await approve(ports, request, digest);
    await ports.store.checkDay(spends);
    return { kind: "KNOWN", attestation: { digest, signature: "", signer, walletSignature } };
  }
  let approved: Approved;
  try {
    approved = await approve(ports, request, digest);
    // Asked again: of many that are checked at once none has been counted yet when the others are.
    if (isCounted(intent)) ports.rate.take(intent.wallet);
  } catch (refusal) {
    // What was attested once is answered for ever. Most intents are new, so only a refused one is looked up first.
    const known = await findKnown(ports, request, digest);
    if (known === undefined) throw refusal;
    return { kind: "KNOWN", attestation: known };
  }
  const { signer, spends } = approved;
  const bound = await ports.store.bind(intent.intentId, digest, spends);
  if (!bound.isNew && isCounted(intent)) ports.rate.giveBack(intent.wallet);
  const known = knownOf(request, digest, bound);
  if (known !== undefined) return { kind: "KNOWN", attestation: known };
  if (!bound.isNew) await refuseProposed(ports, intent);
  const signatures = { digest, signer, walletSignature };
  return {
    kind: "BOUND",
    unsigned: approvals.length === 0 ? signatures : { ...signatures, approvals },
  };
}

/** What may be signed now. */
interface Approved {
  /** The address of the signer of the day. */
  readonly signer: string;
  /** What the intent takes of what passes in a day without approval. */
  readonly spends: readonly Spend[];
}

/** Makes every check of an intent that is new. */
async function approve(
  ports: AttestorPorts,
  { intent, walletSignature, caller, approvals = [] }: AttestRequest,
  digest: string,
): Promise<Approved> {
  const { authority, signer } = await checkNew(ports, intent, digest, walletSignature);
  checkScopes(caller, authority);
  if (isCounted(intent)) ports.rate.check(intent.wallet);
  if (approvals.length > 0) checkApprovalSignatures(digest, approvals, ports.digestApproval);
  const demands = demandsOf(ports.policies(), intent);
  if (demands.length === 0) return { signer, spends: [] };
  const by = {
    policies: ports.policies(),
    nowSeconds: ports.nowSeconds(),
    proposer: caller.subject,
  };
  return { signer, spends: judgeApprovals(intent, demands, approvals, by) };
}

/** What those who check a new intent need. */
export type CheckPorts = Pick<
  AttestorPorts,
  "nowSeconds" | "limits" | "evidence" | "recover" | "signers" | "keys"
>;

/**
 * Checks of an intent that is new all that does not depend on who asks: times, limits, postings, the wallet's signature.
 * Returns whose authority it needs, and the address of the signer of the day. Throws as attest.
 */
export async function checkNew(
  ports: CheckPorts,
  intent: Intent,
  digest: string,
  walletSignature: string,
): Promise<{ readonly authority: Authority; readonly signer: string }> {
  const nowSeconds = ports.nowSeconds();
  checkTimes(intent, nowSeconds);
  checkLimits(intent, ports.limits);
  const related = ownRelated(intent, await readRelated(ports.evidence, intent));
  const authority = checkPostings(intent, related);
  checkWalletSignature(intent, digest, walletSignature, authority, ports.recover);
  return { authority, signer: signingAddress(ports, intent, nowSeconds) };
}

/** Signs a digest that its id is bound to, and keeps the attestation, unless there is one by now. Returns what is kept. */
export async function signAndKeep(
  ports: Pick<AttestorPorts, "signatures" | "encodeIntent" | "keys" | "store">,
  intent: Intent,
  unsigned: Omit<Attestation, "signature">,
  limit: CallLimit,
): Promise<Attestation> {
  ports.signatures.take(unsigned.signer);
  return signOne(ports, intent, unsigned, limit);
}

/** As signAndKeep, of what is counted already. */
export async function signOne(
  ports: Pick<AttestorPorts, "encodeIntent" | "keys" | "store">,
  intent: Intent,
  unsigned: Omit<Attestation, "signature">,
  limit: CallLimit,
): Promise<Attestation> {
  const { digest, signer } = unsigned;
  const data = { digest, encode: () => ports.encodeIntent(intent) };
  const signature = await ports.keys.sign(signer, data, signalOf(limit));
  return ports.store.keep(intent.intentId, { ...unsigned, signature });
}

/**
 * An id that is bound and not signed may be a proposal's, which the approvers decide on and nobody else. Throws
 * PROPOSAL_CLOSED.
 */
async function refuseProposed(
  { proposals, nowSeconds }: Pick<AttestorPorts, "proposals" | "nowSeconds">,
  { intentId }: Intent,
): Promise<void> {
  const proposal = await proposals.find(intentId);
  if (proposal !== undefined) throw proposalClosed(proposal, nowSeconds());
}

/** Fires when the caller's time ends, or the caller leaves. */
export function signalOf(limit: CallLimit): AbortSignal {
  const late = AbortSignal.timeout(waitMsUntil(limit.deadlineMs));
  return limit.signal === undefined ? late : AbortSignal.any([limit.signal, late]);
}

/** House entries are not: they are bounded by the scope that they need. */
function isCounted({ wallet }: Intent): boolean {
  return wallet !== zeroWallet;
}

/** What the id was answered before, if anything. Throws INTENT_ID_REUSED, SCOPE_MISSING, PROPOSAL_CLOSED. */
async function findKnown(
  ports: AttestorPorts,
  request: AttestRequest,
  digest: string,
): Promise<Attestation | undefined> {
  const bound = await ports.store.find(request.intent.intentId);
  if (bound === undefined) return undefined;
  const known = knownOf(request, digest, bound);
  if (known === undefined) await refuseProposed(ports, request.intent);
  return known;
}

function knownOf(
  { intent, caller }: AttestRequest,
  digest: string,
  known: SignedOnce,
): Attestation | undefined {
  if (known.digest !== digest) throw reused(intent, digest, known.digest);
  if (known.attestation === undefined) return undefined;
  checkScopes(caller, authorityOf(intent));
  return known.attestation;
}

/**
 * Whoever lacks the scope is told so before anything stored is looked up, or the answer would tell of intents that are
 * not his. What the postings' own rules forbid is no intent of anybody's, and told as that later; but what refers to
 * stored intents is the house's, however wrong it may be.
 */
function checkScopesAhead(caller: ScopedCaller, intent: Intent): void {
  if (refersToPending(intent) || refersToCorrected(intent)) requireScope(caller, ["attest.house"]);
  let authority: Authority;
  try {
    authority = authorityOf(intent);
  } catch (error) {
    if (error instanceof DomainError) return;
    throw error;
  }
  checkScopes(caller, authority);
}

function checkScopes(caller: ScopedCaller, authority: Authority): void {
  if (authority.wallet) requireScope(caller, ["attest"]);
  if (authority.house) requireScope(caller, ["attest.house"]);
}

/** Expiry first: whatever else is late about an expired intent, it is the expiry that is final. */
export function checkTimes(intent: Intent, nowSeconds: bigint): void {
  if (isExpired(intent, nowSeconds)) throw intentExpired(intent);
  checkIssued(intent, nowSeconds);
  if (intent.issueTime >= nowSeconds - clockSkewSeconds) return;
  throw invalidField(
    "intent.issue_time",
    "intent.issue_time",
    `must lie within ${clockSkewSeconds} seconds of the Attestor's clock`,
  );
}

/** What is in a wallet's name resolves that wallet's reservations alone; what is in nobody's, anybody's. */
function ownRelated(intent: Intent, related: RelatedIntents): RelatedIntents {
  const { pending } = related;
  const isForeign = intent.wallet !== zeroWallet && pending?.wallet !== intent.wallet;
  return isForeign ? { ...related, pending: undefined } : related;
}

/**
 * The signer of the day. That there is none, or that its key is not here, is a fault of the operator's that no
 * caller can mend: an Error, thus INTERNAL, and readiness says so too.
 */
export function signingAddress(ports: CheckPorts, intent: Intent, nowSeconds: bigint): string {
  const signer = signerAt(ports.signers(), intent.issueTime, nowSeconds);
  if (signer === undefined) throw new Error("no signer is active: see SIGNERS_FILE");
  if (ports.keys.has(signer.address)) return signer.address;
  throw new Error(`there is no key of ${signer.address}, the active signer, here`);
}

/** The refusal of an intent whose id is bound to another digest. */
export function reused(intent: Intent, digest: string, storedDigest: string): DomainError {
  return new DomainError(
    "INTENT_ID_REUSED",
    "the intent id already stands for an intent with other content",
    { metadata: { intentId: intent.intentId, digest, storedDigest } },
  );
}
