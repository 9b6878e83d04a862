// Goal: an intent out of a tree is trusted as one that was signed alone, and nothing that only looks like it is. Method: trees
// of the tests' signer, and every field of an attestation changed.
import { expect, test, vi } from "vitest";
import { buildTree } from "#common/tree/merkle.ts";
import { proofToBytes } from "#common/tree/proof.ts";
import {
  alice,
  attest,
  attestorKey,
  bob,
  digestBatch,
  digestIntent,
  intentOf,
  signIntent,
} from "../../test/support/intents/intents.ts";
import { attestTree } from "../../test/support/intents/trees.ts";
import type { Attestation, AttestedTree } from "./intent.ts";
import { rememberTrees } from "./remember-trees.ts";
import { recoverAddress, signDigest } from "./signature.ts";
import type { Signer } from "./signers.ts";
import { verifyAttestation } from "./verify-attestation.ts";

const nowSeconds = 1_764_000_000n;
const signer: Signer = {
  address: attestorKey.address,
  activateTime: nowSeconds - 1_000n,
  retireTime: undefined,
  revokeTime: undefined,
};
const intents = Array.from({ length: 5 }, () => intentOf({ issueTime: nowSeconds }));
const walletSignature = (intent: Parameters<typeof signIntent>[0]) => signIntent(intent, alice);
const attestations = attestTree(intents, { walletSignature });
const [intent = intentOf(), other = intentOf()] = intents;
const [attestation = attest(intent), another = attest(other)] = attestations;
const tree = treeIn(attestation);

function treeIn({ tree: found }: Attestation): AttestedTree {
  if (found === undefined) throw new Error("not out of a tree");
  return found;
}

function verify(change: Partial<Attestation> = {}, signers: readonly Signer[] = [signer]): string {
  return verifyAttestation(
    intent,
    { ...attestation, ...change },
    {
      digestIntent,
      digestBatch,
      signers,
      nowSeconds,
      authority: { wallet: true, house: false },
    },
  );
}

test("each intent of a tree is trusted alone", () => {
  expect(verify()).toBe(digestIntent(intent));
  for (const [index, each] of intents.entries()) {
    const verifier = { digestIntent, digestBatch, signers: [signer], nowSeconds };
    const authority = { wallet: true, house: false };
    const found = attestations[index] ?? attestation;
    expect(verifyAttestation(each, found, { ...verifier, authority })).toBe(digestIntent(each));
  }
});

const flipped = (hex: string, at: number) => {
  const bytes = Buffer.from(hex.slice(2), "hex");
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  return `0x${bytes.toString("hex")}`;
};
const withProof = (proof: string) => ({ tree: { ...tree, proof } });

test.each<[string, Partial<Attestation>]>([
  ["without its tree", { tree: undefined }],
  ["with another's proof", withProof(treeIn(another).proof)],
  ["with another index", withProof(flipped(tree.proof, 3))],
  ["with another count", withProof(flipped(tree.proof, 7))],
  ["with a bit of the path flipped", withProof(flipped(tree.proof, 8))],
  ["with the last bit of the path flipped", withProof(flipped(tree.proof, 8 + 95))],
  ["with a path cut short", withProof(tree.proof.slice(0, -64))],
  ["with a path made longer", withProof(`${tree.proof}${"00".repeat(32)}`)],
  ["with no proof", withProof("0x")],
  ["signed at another time than it says", { tree: { ...tree, issueTime: nowSeconds + 1n } }],
  ["with a flipped bit in the signature", { signature: flipped(attestation.signature, 40) }],
  ["with the signature over the intent itself", { signature: attest(intent).signature }],
])("an intent %s is refused", (_, change) => {
  expect(() => verify(change)).toThrow(expect.objectContaining({ kind: "ATTESTATION_INVALID" }));
});

test("a root signed as a digest is no tree, and a digest signed as a root no intent", () => {
  const leaves = intents.map((each) => Buffer.from(digestIntent(each).slice(2), "hex"));
  const { root, count, pathOf } = buildTree(leaves);
  const rootHex = `0x${Buffer.from(root).toString("hex")}`;
  const proof = proofToBytes({ index: 0, count, path: pathOf(0) });
  const bare = signDigest(rootHex, attestorKey.privateKey);
  const crossed = { signature: bare, ...withProof(`0x${proof.toString("hex")}`) };
  expect(() => verify(crossed)).toThrow(expect.objectContaining({ kind: "ATTESTATION_INVALID" }));
  const asBatch = digestBatch({ root: leaves[0] ?? root, count: 2, issueTime: nowSeconds });
  const signature = signDigest(asBatch, attestorKey.privateKey);
  expect(() => verify({ signature, tree: undefined })).toThrow(
    expect.objectContaining({ kind: "ATTESTATION_INVALID" }),
  );
});

test("a tree is of the time when its intents were issued, give or take five minutes", () => {
  const at = (issueTime: bigint) => attestTree(intents, { issueTime, walletSignature })[0];
  expect(verify(at(nowSeconds - 300n))).toBe(digestIntent(intent));
  expect(verify(at(nowSeconds + 300n))).toBe(digestIntent(intent));
  for (const late of [nowSeconds - 301n, nowSeconds + 301n]) {
    expect(() => verify(at(late))).toThrow(
      expect.objectContaining({ kind: "ATTESTATION_INVALID" }),
    );
  }
});

test("the signer must have been one when the tree was signed, and when the intent was issued", () => {
  const distrusted = (state: string) =>
    expect.objectContaining({
      kind: "SIGNER_NOT_TRUSTED",
      metadata: expect.objectContaining({ state }),
    });
  const late = attestTree(intents, { issueTime: nowSeconds + 200n, walletSignature })[0];
  const retired = { ...signer, retireTime: nowSeconds - 200n };
  expect(verify(attestation, [retired])).toBe(digestIntent(intent));
  expect(() => verify(late, [retired])).toThrow(distrusted("NOT_ACTIVE_THEN"));
  expect(() => verify(attestation, [{ ...signer, revokeTime: nowSeconds }])).toThrow(
    distrusted("REVOKED"),
  );
  const byBob = attestTree(intents, { signer: bob, walletSignature })[0];
  expect(() => verify(byBob)).toThrow(distrusted("UNKNOWN"));
});

test("the wallet's signature is over its intent, whoever stands beside it", () => {
  expect(() => verify({ walletSignature: another.walletSignature })).toThrow(
    expect.objectContaining({ kind: "WALLET_SIGNATURE_INVALID" }),
  );
});

test("a tree's signature is recovered once, and no more of them are remembered than 256", () => {
  const recover = vi.fn(recoverAddress);
  const remembering = rememberTrees(recover);
  const digest = `0x${"11".repeat(32)}`;
  const signature = signDigest(digest, attestorKey.privateKey);
  expect(remembering(digest, signature)).toBe(attestorKey.address);
  expect(remembering(digest, signature)).toBe(attestorKey.address);
  expect(recover).toHaveBeenCalledTimes(1);
  for (let number = 0; number < 256; number += 1) {
    remembering(digest, `0x${number.toString(16).padStart(130, "0")}`);
  }
  expect(remembering(digest, signature)).toBe(attestorKey.address);
  expect(recover).toHaveBeenCalledTimes(258);
});
