import type { DigestApproval } from "#common/approval/digest.ts";
import { checkApprovalSignatures, demandsOf, judgeApprovals } from "#common/approval/judge.ts";
import type { Policies } from "#common/approval/policy.ts";
import { DomainError } from "#common/domain-error.ts";
import { checkNotDatedBack } from "#common/intent/dated-back.ts";
import type { DigestIntent } from "#common/intent/digest.ts";
import type { EvidenceReader } from "#common/intent/evidence.ts";
import type { Attestation, Intent } from "#common/intent/intent.ts";
import {
  checkPostings,
  type RelatedIntents,
  refersToCorrected,
  refersToPending,
} from "#common/intent/posting-rules.ts";
import { checkShape } from "#common/intent/rules.ts";
import { signedDigestOf } from "#common/intent/signed-digest.ts";
import type { Signers } from "#common/intent/signers.ts";
import {
  checkAttestation,
  checkWalletSignature,
  type RecoverAddress,
} from "#common/intent/verify-attestation.ts";
import type { DigestBatch } from "#common/tree/attestation-batch.ts";

/** How intents that were cleared are found. */
export type RelatedEvidence = Pick<EvidenceReader, "byIntentId" | "byDigest">;

/** What VerifyAttestation finds. */
export interface Verdict {
  /** The digest of the intent. */
  readonly digest: string;
  /** Who made the signature over that digest, EIP-55; "" if nobody did. */
  readonly signer: string;
  /** Why the attestation is not to be trusted; undefined if it is. */
  readonly reason: DistrustKind | undefined;
}

export interface VerifyPorts {
  readonly digestIntent: DigestIntent;
  readonly digestBatch: DigestBatch;
  readonly digestApproval: DigestApproval;
  /** What needs approval, as of now. */
  readonly policies: () => Policies;
  readonly store: {
    /** When an id was bound to this digest, Unix seconds; undefined if it was not. */
    boundTime(intentId: string, digest: string): Promise<bigint | undefined>;
  };
  readonly evidence: RelatedEvidence;
  /** Who made a signature: as recoverAddress. */
  readonly recover: RecoverAddress;
  readonly signers: () => Signers;
  /** Unix seconds. */
  readonly nowSeconds: () => bigint;
}

const distrustKinds = [
  "ATTESTATION_INVALID",
  "SIGNER_NOT_TRUSTED",
  "WALLET_SIGNATURE_INVALID",
  "POSTING_NOT_ALLOWED",
  "LEDGERS_DIFFER",
  "PENDING_NOT_FOUND",
  "PENDING_AMOUNT_EXCEEDED",
  "APPROVAL_REQUIRED",
  "APPROVAL_INVALID",
  "APPROVAL_REJECTED",
] as const;

/** The refusals that VerifyAttestation gives as an answer, not as an error. */
export type DistrustKind = (typeof distrustKinds)[number];

/** Judges an attestation as Clearing would. Throws INVALID_FIELD, RECORDS_UNAVAILABLE. */
export async function verify(
  ports: VerifyPorts,
  intent: Intent,
  attestation: Attestation,
): Promise<Verdict> {
  checkShape(intent);
  const digest = ports.digestIntent(intent);
  const signed = tryDigest(intent, { ...attestation, digest }, ports.digestBatch);
  const signer = signed === undefined ? undefined : ports.recover(signed, attestation.signature);
  // Asked for again below, over the same digest.
  const recover: RecoverAddress = (ofDigest, signature) =>
    ofDigest === signed && signature === attestation.signature
      ? signer
      : ports.recover(ofDigest, signature);
  const found = { digest, signer: signer ?? "" };
  const at = { signers: ports.signers(), nowSeconds: ports.nowSeconds() };
  try {
    const { digestIntent, digestBatch } = ports;
    checkAttestation(intent, attestation, { digestIntent, digestBatch, recover, ...at });
    await checkNotDatedBack(intent, attestation, at, {
      boundTime: ports.store.boundTime,
      hasEvidence: async (intentId, ofDigest) =>
        (await ports.evidence.byIntentId(intentId))?.attestation.digest === ofDigest,
    });
    const authority = checkPostings(intent, await readRelated(ports.evidence, intent));
    checkWalletSignature(intent, digest, attestation.walletSignature, authority, recover);
    await checkApprovals(ports, intent, attestation);
    return { ...found, reason: undefined };
  } catch (error) {
    const reason = distrustKinds.find(
      (kind) => error instanceof DomainError && error.kind === kind,
    );
    if (reason === undefined) throw error;
    return { ...found, reason };
  }
}

/** What the signature must be over; undefined if the proof of its tree is none. */
function tryDigest(
  intent: Intent,
  attestation: Attestation,
  digestBatch: DigestBatch,
): string | undefined {
  try {
    return signedDigestOf(intent, attestation, digestBatch);
  } catch (error) {
    if (error instanceof DomainError) return undefined;
    throw error;
  }
}

/** As Clearing judges approvals: once, before it has evidence of the intent. The sums of the day are its own to know. */
async function checkApprovals(
  ports: VerifyPorts,
  intent: Intent,
  { digest, approvals = [] }: Attestation,
): Promise<void> {
  checkApprovalSignatures(digest, approvals, ports.digestApproval);
  const policies = ports.policies();
  const demands = demandsOf(policies, intent);
  if (demands.length === 0) return;
  try {
    judgeApprovals(intent, demands, approvals, { policies, nowSeconds: ports.nowSeconds() });
  } catch (refusal) {
    const stored = await ports.evidence.byIntentId(intent.intentId);
    if (stored?.attestation.digest !== digest) throw refusal;
  }
}

/** The stored intents to which an intent refers. */
export async function readRelated(
  evidence: RelatedEvidence,
  intent: Intent,
): Promise<RelatedIntents> {
  if (refersToPending(intent)) {
    return { pending: (await evidence.byIntentId(intent.pendingIntentId))?.intent };
  }
  if (refersToCorrected(intent) && intent.corrects !== "") {
    return { corrected: (await evidence.byDigest(intent.corrects))?.intent };
  }
  return {};
}
