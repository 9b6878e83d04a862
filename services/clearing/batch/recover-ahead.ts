import { groupCommit } from "#common/group-commit.ts";
import type { Attestation } from "#common/intent/intent.ts";
import type { SignatureChecks } from "#common/intent/signature-metrics.ts";
import type { RecoverAddress } from "#common/intent/verify-attestation.ts";
import type { RecoverAhead } from "../core/ports.ts";
import type { SignedDigest } from "./signature-message.ts";
import type { SignatureThreads } from "./signature-threads.ts";

/** Signatures that go to a thread together: some milliseconds of its work, and of ours when they come back. */
const groupMax = 64;
const waitingMax = 100_000;

/** Recovers on threads, many attestations at a time; `checks` counts them. */
export function recoverAheadOn(threads: SignatureThreads, checks: SignatureChecks): RecoverAhead {
  return groupCommit<Attestation, RecoverAddress>({
    weigh: ({ walletSignature }) => (walletSignature === "" ? 1 : 2),
    weightMax: groupMax,
    // The next is there when a thread is done with the last.
    runningMax: 2 * threads.count,
    waitingMax,
    run: async (attestations) => {
      const items = attestations.flatMap(signaturesOf);
      const addresses = await threads.recover(items);
      checks.countOnThreads(addresses);
      let next = 0;
      return attestations.map((attestation) => {
        const signer = attestation.tree === undefined ? addresses[next++] : undefined;
        const wallet = attestation.walletSignature === "" ? undefined : addresses[next++];
        return recovered(attestation, signer, wallet, checks.recover);
      });
    },
  });
}

/** A tree's signature is over another digest, and is recovered once for all of its intents. */
function signaturesOf({ digest, signature, walletSignature, tree }: Attestation): SignedDigest[] {
  const own = tree === undefined ? [{ digest, signature }] : [];
  return walletSignature === "" ? own : [...own, { digest, signature: walletSignature }];
}

/** What was recovered ahead, by digest and signature; anything else is recovered now. */
function recovered(
  attestation: Attestation,
  signer: string | undefined,
  wallet: string | undefined,
  recover: RecoverAddress,
): RecoverAddress {
  return (digest, signature) => {
    if (digest !== attestation.digest) return recover(digest, signature);
    if (attestation.tree === undefined && signature === attestation.signature) return signer;
    if (signature === attestation.walletSignature) return wallet;
    return recover(digest, signature);
  };
}
