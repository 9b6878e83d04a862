import type { Attestation, Intent } from "#common/intent/intent.ts";
import { signDigest } from "#common/intent/signature.ts";
import type { DigestBatch } from "#common/tree/attestation-batch.ts";
import { buildTree } from "#common/tree/merkle.ts";
import { proofToBytes } from "#common/tree/proof.ts";
import { attestorKey, digestBatch, digestIntent, type TestKey } from "./intents.ts";

export interface TreeOptions {
  readonly digestIntent?: (intent: Intent) => string;
  readonly digestBatch?: DigestBatch;
  readonly signer?: TestKey;
  /** Unix seconds; by default when the first intent was issued. */
  readonly issueTime?: bigint;
  /** What each wallet signs, or "". */
  readonly walletSignature?: (intent: Intent) => string;
}

/** Attestations of 2 to 8,189 intents under one signature, as AttestBatch makes them. */
export function attestTree(intents: readonly Intent[], options: TreeOptions = {}): Attestation[] {
  const { signer = attestorKey, walletSignature = () => "" } = options;
  const digests = intents.map(options.digestIntent ?? digestIntent);
  const { root, count, pathOf } = buildTree(
    digests.map((digest) => Buffer.from(digest.slice(2), "hex")),
  );
  const issueTime = options.issueTime ?? intents[0]?.issueTime ?? 0n;
  const signed = (options.digestBatch ?? digestBatch)({ root, count, issueTime });
  const signature = signDigest(signed, signer.privateKey);
  return intents.map((intent, index) => {
    const proof = proofToBytes({ index, count, path: pathOf(index) });
    return {
      digest: digests[index] ?? "",
      signature,
      signer: signer.address,
      walletSignature: walletSignature(intent),
      tree: { proof: `0x${proof.toString("hex")}`, issueTime },
    };
  });
}
