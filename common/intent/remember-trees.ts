import type { RecoverAddress } from "./verify-attestation.ts";

/** A batch holds one tree as a rule, and a handful of batches are under way at once. Each entry takes some 400 bytes. */
const treesMax = 256;

/**
 * Recovers the signature of a tree once for all intents that stand in it. The digest commits to root, count and time, so
 * whose signature it is never changes; whether the signer is trusted does, and is not remembered. The oldest are forgotten.
 */
export function rememberTrees(recover: RecoverAddress): RecoverAddress {
  const known = new Map<string, string | undefined>();
  return (digest, signature) => {
    const key = `${digest}${signature}`;
    if (known.has(key)) return known.get(key);
    const address = recover(digest, signature);
    const oldest = known.size < treesMax ? undefined : known.keys().next();
    if (oldest !== undefined && !oldest.done) known.delete(oldest.value);
    known.set(key, address);
    return address;
  };
}
