// Goal: a proof places one leaf in one tree, and nothing else passes for it. Method: golden vectors that ethers made by
// plain recursion, random trees against that recursion, and every kind of damage.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { domainEncoder } from "#common/intent/digest.ts";
import { recoverAddress } from "#common/intent/signature.ts";
import { recursiveTree, treeLeaf } from "../../test/vectors/generate.ts";
import { batchDigester } from "./attestation-batch.ts";
import { buildTree, leavesMax, pathLength, pathMax } from "./merkle.ts";
import {
  proofBytesMax,
  proofFromBytes,
  proofToBytes,
  rootOfProof,
  type TreeProof,
} from "./proof.ts";

interface TreeVectors {
  readonly domain: {
    readonly name: string;
    readonly version: string;
    readonly chainId: string;
    readonly verifyingContract: string;
    readonly salt: string;
  };
  readonly signer: { readonly address: string };
  readonly trees: readonly {
    readonly count: number;
    readonly root: string;
    readonly issuedAt: number;
    readonly digest: string;
    readonly signature: string;
    readonly proofs: readonly {
      readonly index: number;
      readonly leaf: string;
      readonly proof: string;
    }[];
  }[];
}

const vectors: TreeVectors = JSON.parse(
  readFileSync(new URL("../../test/vectors/trees.json", import.meta.url), "utf8"),
);
const bytesOf = (hex: string) => Buffer.from(hex.slice(2), "hex");
const hexOf = (bytes: Uint8Array) => `0x${Buffer.from(bytes).toString("hex")}`;
const leavesOf = (count: number) => Array.from({ length: count }, (_, index) => treeLeaf(index));
const treeOf = (count: number) => buildTree(leavesOf(count).map(bytesOf));

/** What verification comes to: the root, or why there is none. */
function rootFrom(leaf: string, proof: Uint8Array): string {
  const read = proofFromBytes(proof);
  return "fault" in read ? `fault: ${read.fault}` : hexOf(rootOfProof(bytesOf(leaf), read));
}

describe("the golden trees", () => {
  const { domain } = vectors;
  const digestBatch = batchDigester(domainEncoder({ ...domain, chainId: BigInt(domain.chainId) }));

  test.each(vectors.trees)(
    "of $count leaves",
    ({ count, root, issuedAt, digest, signature, proofs }) => {
      const tree = treeOf(count);
      expect(hexOf(tree.root)).toBe(root);
      expect(digestBatch({ root: tree.root, count, issueTime: BigInt(issuedAt) })).toBe(digest);
      expect(recoverAddress(digest, signature)).toBe(vectors.signer.address);
      for (const { index, leaf, proof } of proofs) {
        expect(hexOf(proofToBytes({ index, count, path: tree.pathOf(index) }))).toBe(proof);
        expect(rootFrom(leaf, bytesOf(proof))).toBe(root);
      }
    },
  );

  test("every leaf of the largest has a proof, and none is longer than a proof may be", () => {
    const tree = treeOf(leavesMax);
    let longest = 0;
    for (let index = 0; index < leavesMax; index += 1) {
      const proof = proofToBytes({ index, count: leavesMax, path: tree.pathOf(index) });
      longest = Math.max(longest, proof.length);
      if (rootFrom(treeLeaf(index), proof) !== hexOf(tree.root)) expect.fail(`leaf ${index}`);
    }
    expect(longest).toBe(proofBytesMax);
  });
});

/** A tree of up to 70 leaves, and one of its leaves. */
const places = fc
  .integer({ min: 2, max: 70 })
  .chain((count) => fc.record({ count: fc.constant(count), index: fc.nat(count - 1) }));

function provenAt({ count, index }: { count: number; index: number }) {
  const tree = treeOf(count);
  const proof: TreeProof = { index, count, path: tree.pathOf(index) };
  return { root: hexOf(tree.root), leaf: treeLeaf(index), proof, bytes: proofToBytes(proof) };
}

describe("a proof", () => {
  test("is what the recursion of RFC 9162 gives", () => {
    fc.assert(
      fc.property(places, (place) => {
        const { root, leaf, proof, bytes } = provenAt(place);
        const leaves = leavesOf(place.count);
        expect(proof.path.map(hexOf)).toEqual(recursiveTree.path(place.index, leaves));
        expect(root).toBe(recursiveTree.root(leaves));
        expect(rootFrom(leaf, bytes)).toBe(root);
        expect(proof.path).toHaveLength(pathLength(place.index, place.count));
        expect(proof.path.length).toBeLessThanOrEqual(pathMax);
      }),
      { numRuns: 60 },
    );
  });

  test("has one spelling", () => {
    fc.assert(
      fc.property(places, (place) => {
        const { bytes } = provenAt(place);
        const read = proofFromBytes(bytes);
        if ("fault" in read) throw new Error(read.fault);
        expect(proofToBytes(read)).toEqual(bytes);
      }),
      { numRuns: 40 },
    );
  });

  test("with any flipped bit leads to another root or to none", () => {
    fc.assert(
      fc.property(places, fc.nat(), (place, random) => {
        const { root, leaf, bytes } = provenAt(place);
        const bit = random % (bytes.length * 8);
        const damaged = Buffer.from(bytes);
        damaged.writeUInt8(damaged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        const found = rootFrom(leaf, damaged);
        // The count is signed beside the root; of another count the path may have the same length.
        const read = proofFromBytes(damaged);
        const isSame = found === root && !("fault" in read) && read.count === place.count;
        expect(isSame).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  test("of one leaf proves no other, and at no other index", () => {
    fc.assert(
      fc.property(places, fc.nat(), (place, random) => {
        const { root, leaf, proof } = provenAt(place);
        const other = random % place.count;
        fc.pre(other !== place.index);
        expect(rootFrom(treeLeaf(other), proofToBytes(proof))).not.toBe(root);
        expect(rootFrom(leaf, proofToBytes({ ...proof, index: other }))).not.toBe(root);
      }),
      { numRuns: 100 },
    );
  });

  test("permuted, cut or lengthened proves nothing", () => {
    fc.assert(
      fc.property(places, (place) => {
        const { root, leaf, proof, bytes } = provenAt(place);
        const path = [...proof.path].reverse();
        if (path.length > 1)
          expect(rootFrom(leaf, proofToBytes({ ...proof, path }))).not.toBe(root);
        expect(rootFrom(leaf, bytes.subarray(0, -32))).toMatch(/^fault: /);
        expect(rootFrom(leaf, bytes.subarray(0, -1))).toMatch(/^fault: /);
        expect(rootFrom(leaf, Buffer.concat([bytes, Buffer.alloc(32)]))).toMatch(/^fault: /);
        expect(rootFrom(leaf, Buffer.concat([bytes, Buffer.of(0)]))).toMatch(/^fault: /);
      }),
      { numRuns: 40 },
    );
  });

  test("of a node proves nothing: a node is no leaf", () => {
    const tree = treeOf(4);
    const [, above] = tree.pathOf(0);
    if (above === undefined) throw new Error("a tree of four has paths of two");
    const left = recursiveTree.root(leavesOf(2));
    const asLeaf = proofToBytes({ index: 0, count: 2, path: [above] });
    expect(rootFrom(left, asLeaf)).not.toBe(hexOf(tree.root));
  });

  test.each([
    ["nothing", Buffer.alloc(0), "40 to 424 bytes"],
    ["a head alone", Buffer.from("0000000000000002", "hex"), "40 to 424 bytes"],
    ["more than the largest", Buffer.alloc(456), "40 to 424 bytes"],
    ["a tree of one", proofToBytes({ index: 0, count: 1, path: [Buffer.alloc(32)] }), "not 1"],
    ["a tree of none", proofToBytes({ index: 0, count: 0, path: [Buffer.alloc(32)] }), "not 0"],
    ["too many", proofToBytes({ index: 0, count: 8_190, path: [Buffer.alloc(32)] }), "not 8190"],
    ["index = count", proofToBytes({ index: 2, count: 2, path: [Buffer.alloc(32)] }), "none at 2"],
    [
      "the largest index",
      proofToBytes({ index: 0xffff_ffff, count: 8_189, path: [Buffer.alloc(32)] }),
      "none at 4294967295",
    ],
    [
      "a short path",
      proofToBytes({ index: 0, count: 3, path: [Buffer.alloc(32)] }),
      "has 2 hashes",
    ],
  ])("of %s is refused, and it says why", (_, bytes, why) => {
    expect(rootFrom(treeLeaf(0), bytes)).toContain(why);
  });
});

test("a tree takes no leaf twice, none of another length, and none alone", () => {
  const leaves = leavesOf(3).map(bytesOf);
  const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = leaves;
  expect(() => buildTree([first, second, Buffer.from(first)])).toThrow("twice");
  expect(() => buildTree([first, second.subarray(1)])).toThrow("32 bytes");
  expect(() => buildTree([first])).toThrow("not 1");
  expect(() => buildTree(leavesOf(leavesMax + 1).map(bytesOf))).toThrow("not 8190");
  expect(() => buildTree(leaves).pathOf(3)).toThrow("none at 3");
});
