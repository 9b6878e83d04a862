import type { DigestApproval } from "#common/approval/digest.ts";
import { checkApprovalSignatures, type Demand, demandsOf } from "#common/approval/judge.ts";
import { DomainError } from "#common/domain-error.ts";
import { checkNotDatedBack, type Witnesses } from "#common/intent/dated-back.ts";
import type { DigestIntent } from "#common/intent/digest.ts";
import type { AttestedIntent, Intent } from "#common/intent/intent.ts";
import {
  checkPostings,
  type RelatedIntents,
  refersToCorrected,
  refersToPending,
} from "#common/intent/posting-rules.ts";
import {
  checkIssued,
  checkLimits,
  checkShape,
  type IntentLimits,
  intentExpired,
  isExpired,
} from "#common/intent/rules.ts";
import {
  type AttestationVerifier,
  checkAttestation,
  checkWalletSignature,
} from "#common/intent/verify-attestation.ts";
import type { DigestBatch } from "#common/tree/attestation-batch.ts";
import type { Attempt } from "./attempt.ts";
import type { ClearingPorts, EvidenceStore, RecoverAhead } from "./ports.ts";

export interface Rules {
  readonly digestIntent: DigestIntent;
  readonly digestBatch: DigestBatch;
  readonly digestApproval: DigestApproval;
  readonly limits: IntentLimits;
}

/** An intent that is validly attested. */
export interface VerifiedIntent {
  readonly digest: string;
  /** What the policy looks at in it. Its approvals are judged when the evidence is stored, and never again. */
  readonly demands: readonly Demand[];
  /**
   * Why it may not clear any more, although it is genuine: it may have cleared before. `kills`: nothing will ever
   * change that, so the intent must be fenced before anyone is told.
   */
  readonly late: { readonly why: DomainError; readonly kills: boolean } | undefined;
}

type VerifyPorts = Pick<
  ClearingPorts,
  "evidence" | "attestor" | "signers" | "policies" | "nowSeconds" | "recover" | "recoverTree"
>;

/**
 * Checks everything about an intent that does not depend on the ledger: shape, digest, signatures, and again the rules
 * that a thief of the Attestor's key could skip. It waits only for the evidence that POST, VOID and REFUND refer to, for
 * the Attestor's records of what is not fresh, and for `recoverAhead` if that is given.
 */
export async function verifyRequest(
  evidence: AttestedIntent,
  rules: Rules,
  ports: VerifyPorts,
  attempt: Attempt,
  recoverAhead?: RecoverAhead,
): Promise<VerifiedIntent> {
  const { intent, attestation } = evidence;
  checkShape(intent);
  const recover = recoverAhead ? await recoverAhead(attestation, attempt) : ports.recover;
  const nowSeconds = ports.nowSeconds();
  const { digestIntent, digestBatch, digestApproval } = rules;
  const { recoverTree } = ports;
  const signers = ports.signers();
  const verifier = { digestIntent, digestBatch, signers, nowSeconds, recover, recoverTree };
  const { digest, revoked } = checkGenuine(evidence, verifier);
  // What a revoked signer signed is refused whatever its age.
  if (revoked === undefined) {
    await checkNotDatedBack(intent, attestation, verifier, witnessesOf(ports, attempt));
  }
  const refers = refersToPending(intent) || refersToCorrected(intent);
  const related = refers ? await loadRelated(intent, ports.evidence, attempt) : {};
  const authority = checkPostings(intent, related);
  checkWalletSignature(intent, digest, attestation.walletSignature, authority, recover);
  if (attestation.approvals !== undefined) {
    checkApprovalSignatures(digest, attestation.approvals, digestApproval);
  }
  const demands = demandsOf(ports.policies(), intent);
  if (revoked !== undefined) return { digest, demands, late: { why: revoked, kills: true } };
  if (isExpired(intent, nowSeconds))
    return { digest, demands, late: { why: intentExpired(intent), kills: true } };
  checkIssued(intent, nowSeconds);
  const exceeded = limitExceeded(intent, rules.limits);
  // A limit that was lowered must not hide that an intent cleared under the old one.
  return { digest, demands, late: exceeded && { why: exceeded, kills: false } };
}

/** The digest, and the refusal if the signer is trusted no more: what it signed may have cleared before. */
function checkGenuine(
  { intent, attestation }: AttestedIntent,
  verifier: AttestationVerifier,
): { digest: string; revoked: DomainError | undefined } {
  try {
    return { digest: checkAttestation(intent, attestation, verifier), revoked: undefined };
  } catch (error) {
    // The signature is checked before the signer's standing, so the attestation itself is in order.
    if (!(error instanceof DomainError) || error.metadata["state"] !== "REVOKED") throw error;
    return { digest: attestation.digest, revoked: error };
  }
}

function witnessesOf(
  { evidence, attestor }: Pick<ClearingPorts, "evidence" | "attestor">,
  attempt: Attempt,
): Witnesses {
  return {
    boundTime: (intentId, digest) => attestor.boundTime(intentId, digest, attempt),
    hasEvidence: async (intentId, digest) =>
      (await evidence.read(intentId, attempt))?.attestation.digest === digest,
  };
}

async function loadRelated(
  intent: Intent,
  evidence: EvidenceStore,
  attempt: Attempt,
): Promise<RelatedIntents> {
  if (refersToPending(intent)) {
    return { pending: (await evidence.read(intent.pendingIntentId, attempt))?.intent };
  }
  if (intent.corrects === "") return {};
  return { corrected: (await evidence.readByDigest(intent.corrects, attempt))?.intent };
}

function limitExceeded(intent: Intent, limits: IntentLimits): DomainError | undefined {
  try {
    checkLimits(intent, limits);
    return undefined;
  } catch (error) {
    if (error instanceof DomainError && error.kind === "LIMIT_EXCEEDED") return error;
    throw error;
  }
}
