import { DomainError } from "#common/domain-error.ts";
import type { Attestation, Intent } from "./intent.ts";
import { type Signer, type Signers, signerSkewSeconds } from "./signers.ts";

/** For how long after its issue an intent is taken for as old as it says, in seconds. */
const freshSeconds = 600n;

/** Those who know when an intent was seen first. All reject with RECORDS_UNAVAILABLE. */
export interface Witnesses {
  /** When the Attestor bound the id to the digest, Unix seconds; undefined if it has not. */
  boundTime(intentId: string, digest: string): Promise<bigint | undefined>;
  /** Whether Clearing has evidence of the intent, and so has judged it before. */
  hasEvidence(intentId: string, digest: string): Promise<boolean>;
}

/**
 * Whoever holds a signer's key chooses `issue_time`, and with it which rules and which signer count: a key that was
 * stolen signs for a time when it was still active. So what is no longer fresh, or whose signer has retired since, needs a
 * witness that it was there in time: the Attestor's own row, which no key writes. `attestation` must be genuine, its signer
 * one of `signers`. Throws SIGNER_NOT_TRUSTED with `state` DATED_BACK; RECORDS_UNAVAILABLE.
 */
export async function checkNotDatedBack(
  intent: Intent,
  attestation: Attestation,
  { signers, nowSeconds }: { readonly signers: Signers; readonly nowSeconds: bigint },
  witnesses: Witnesses,
): Promise<void> {
  const signer = signers.find(({ address }) => address === attestation.signer);
  if (signer === undefined || !needsWitness(intent, signer, nowSeconds)) return;
  const { intentId } = intent;
  const { digest } = attestation;
  const boundTime = await witnesses.boundTime(intentId, digest);
  if (boundTime !== undefined && wasSeenInTime(intent, signer, boundTime)) return;
  if (await witnesses.hasEvidence(intentId, digest)) return;
  throw new DomainError(
    "SIGNER_NOT_TRUSTED",
    `nobody has seen ${signer.address} attest this intent when it says that it was issued`,
    { metadata: { signer: signer.address, state: "DATED_BACK" } },
  );
}

/** Whether an intent that is judged at `nowSeconds` needs somebody who has seen it before. */
export function needsWitness(intent: Intent, signer: Signer, nowSeconds: bigint): boolean {
  const hasRetired = signer.retireTime !== undefined && nowSeconds >= signer.retireTime;
  return hasRetired || nowSeconds > intent.issueTime + freshSeconds;
}

/**
 * Whether who has seen an intent at `seenTime`, Unix seconds, has seen it when it was issued. The Attestor signs for a retired
 * signer what was issued before, as long as clocks may differ.
 */
export function wasSeenInTime(intent: Intent, { retireTime }: Signer, seenTime: bigint): boolean {
  if (seenTime > intent.issueTime + freshSeconds) return false;
  return retireTime === undefined || seenTime <= retireTime + signerSkewSeconds;
}
