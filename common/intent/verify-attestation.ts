import { DomainError } from "#common/domain-error.ts";
import type { DigestBatch } from "#common/tree/attestation-batch.ts";
import type { Authority } from "./authority.ts";
import type { DigestIntent } from "./digest.ts";
import type { Attestation, Intent } from "./intent.ts";
import { recoverAddress } from "./signature.ts";
import { signedDigestOf, signingTimes } from "./signed-digest.ts";
import { type Signers, trustSigner } from "./signers.ts";

/** What an attestation is judged by. The caller never says who is trusted. */
export interface AttestationVerifier {
  readonly digestIntent: DigestIntent;
  readonly digestBatch: DigestBatch;
  readonly signers: Signers;
  /** Unix seconds. */
  readonly nowSeconds: bigint;
  /** Given where addresses were recovered ahead, on other threads. */
  readonly recover?: RecoverAddress | undefined;
  /** The same for the signatures of trees, of which many intents have the same one; by default `recover`. */
  readonly recoverTree?: RecoverAddress | undefined;
}

/** Who made a signature over a digest: as recoverAddress. */
export type RecoverAddress = (digest: string, signature: string) => string | undefined;

/**
 * Checks everything that an attestation claims: the digest, the Attestor's signature and the wallet's where
 * `authority`, the answer of checkPostings, asks for it. Returns the digest, 32 bytes as lower-case `0x` hex.
 * Throws ATTESTATION_INVALID, SIGNER_NOT_TRUSTED, WALLET_SIGNATURE_INVALID.
 */
export function verifyAttestation(
  intent: Intent,
  attestation: Attestation,
  verifier: AttestationVerifier & { readonly authority: Authority },
): string {
  const digest = checkAttestation(intent, attestation, verifier);
  const { authority, recover } = verifier;
  checkWalletSignature(intent, digest, attestation.walletSignature, authority, recover);
  return digest;
}

/**
 * The half that needs no evidence: the digest is the intent's, the signature is the named signer's over it or over a tree
 * in which it stands, and the signer is trusted. Returns the digest. Throws ATTESTATION_INVALID; SIGNER_NOT_TRUSTED with `state` UNKNOWN,
 * NOT_ACTIVE_THEN or REVOKED.
 */
export function checkAttestation(
  intent: Intent,
  attestation: Attestation,
  verifier: AttestationVerifier,
): string {
  const digest = verifier.digestIntent(intent);
  const metadata = { intentId: intent.intentId, digest };
  if (attestation.digest !== digest) {
    throw new DomainError("ATTESTATION_INVALID", "the attestation's digest is not the intent's", {
      metadata,
    });
  }
  const { signature, signer, tree } = attestation;
  const signed = signedDigestOf(intent, attestation, verifier.digestBatch);
  const recoverDigest = verifier.recover ?? recoverAddress;
  const recover = tree === undefined ? recoverDigest : (verifier.recoverTree ?? recoverDigest);
  if (recover(signed, signature) !== signer) {
    throw new DomainError(
      "ATTESTATION_INVALID",
      `the attestation's signature is not by its signer ${signer}`,
      { metadata },
    );
  }
  for (const time of signingTimes(intent, attestation)) {
    const trust = trustSigner(verifier.signers, signer, time, verifier.nowSeconds);
    if (trust.trusted) continue;
    throw new DomainError("SIGNER_NOT_TRUSTED", `${signer} ${distrust[trust.why]}`, {
      metadata: { signer, state: trust.why },
    });
  }
  return digest;
}

const distrust = {
  UNKNOWN: "is no signer of this mesh",
  NOT_ACTIVE_THEN: "was not an active signer when the intent was issued",
  REVOKED: "is revoked as a signer",
} as const;

/**
 * The wallet's own signature over the digest. Where the rules ask for none it may be "", but one that is given is
 * checked all the same: a wrong signature is evidence of a fault. Throws WALLET_SIGNATURE_INVALID.
 */
export function checkWalletSignature(
  intent: Intent,
  digest: string,
  walletSignature: string,
  authority: Authority,
  recover: RecoverAddress = recoverAddress,
): void {
  if (walletSignature === "" && !authority.wallet) return;
  if (walletSignature !== "" && recover(digest, walletSignature) === intent.wallet) return;
  const fault =
    walletSignature === ""
      ? "the wallet's signature is missing"
      : `the wallet's signature is not by ${intent.wallet} over this intent`;
  throw new DomainError("WALLET_SIGNATURE_INVALID", fault, {
    metadata: { wallet: intent.wallet, digest },
  });
}
