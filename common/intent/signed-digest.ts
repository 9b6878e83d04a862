import { DomainError } from "#common/domain-error.ts";
import type { DigestBatch } from "#common/tree/attestation-batch.ts";
import { proofFromBytes, rootOfProof } from "#common/tree/proof.ts";
import type { Attestation, Intent } from "./intent.ts";
import { signerSkewSeconds } from "./signers.ts";

/**
 * The digest that the Attestor's signature must be over: the intent's own, or that of the tree in which the attestation
 * places it. Both are 32 bytes as lower-case `0x` hex, and of different types, so that neither passes for the other.
 * `attestation.digest` must be the intent's. Throws ATTESTATION_INVALID for a proof that is none, and for a tree that was
 * signed at another time than the intent was issued.
 */
export function signedDigestOf(
  intent: Intent,
  { digest, tree }: Attestation,
  digestBatch: DigestBatch,
): string {
  if (tree === undefined) return digest;
  const proof = proofFromBytes(Buffer.from(tree.proof.slice(2), "hex"));
  if ("fault" in proof) throw invalid(intent, digest, `the proof is none: ${proof.fault}`);
  const { issueTime } = tree;
  const apart = issueTime - intent.issueTime;
  if (apart > signerSkewSeconds || apart < -signerSkewSeconds) {
    throw invalid(
      intent,
      digest,
      `the tree was signed more than ${signerSkewSeconds} seconds from the intent's issue`,
    );
  }
  const root = rootOfProof(Buffer.from(digest.slice(2), "hex"), proof);
  return digestBatch({ root, count: proof.count, issueTime });
}

/** The times, Unix seconds, at which the signer must have been one: the intent's issue, and the tree's if it is in one. */
export function signingTimes(intent: Intent, { tree }: Attestation): readonly bigint[] {
  return tree === undefined ? [intent.issueTime] : [intent.issueTime, tree.issueTime];
}

function invalid(intent: Intent, digest: string, message: string): DomainError {
  return new DomainError("ATTESTATION_INVALID", message, {
    metadata: { intentId: intent.intentId, digest },
  });
}
