import { keccak256 } from "#common/keccak256.ts";

/** The most leaves of a tree: as many as a batch may hold. */
export const leavesMax = 8_189;

/** The fewest: one leaf alone is signed in the plain form. */
export const leavesMin = 2;

/** The longest path in a tree of `leavesMax` leaves. */
export const pathMax = 13;

/** Bytes of a leaf's digest, of a node and of a root. */
export const hashBytes = 32;

/** A Merkle tree over digests, and the way from each leaf to the root. */
export interface MerkleTree {
  /** 32 bytes. */
  readonly root: Uint8Array;
  readonly count: number;
  /** The neighbours from the leaf up, 32 bytes each. Throws RangeError unless 0 ≤ index < count. */
  pathOf(index: number): readonly Uint8Array[];
}

/** A leaf can be taken for no node: 00 stands before the one, 01 before the other (RFC 9162, 2.1.1). */
const leafBlock = Buffer.alloc(1 + hashBytes);
leafBlock[0] = 0x00;
const nodeBlock = Buffer.alloc(1 + 2 * hashBytes);
nodeBlock[0] = 0x01;

/** The hash of a leaf: keccak-256 of 00 and the digest, 32 bytes. */
export function hashLeaf(digest: Uint8Array): Uint8Array {
  leafBlock.set(digest, 1);
  return keccak256(leafBlock);
}

/** The hash of a node: keccak-256 of 01 and both sides, in their order. */
export function hashNode(left: Uint8Array, right: Uint8Array): Uint8Array {
  nodeBlock.set(left, 1);
  nodeBlock.set(right, 1 + hashBytes);
  return keccak256(nodeBlock);
}

/**
 * Builds the tree of RFC 9162 over digests, in their order: nothing is sorted, nothing padded. Throws RangeError if there
 * are fewer than 2 or more than 8,189, if one is not 32 bytes long, or if one stands there twice.
 */
export function buildTree(digests: readonly Uint8Array[]): MerkleTree {
  checkLeaves(digests);
  const levels = [digests.map(hashLeaf)];
  for (let level = levels[0] ?? []; level.length > 1; ) {
    level = parentsOf(level);
    levels.push(level);
  }
  const root = levels.at(-1)?.[0];
  if (root === undefined) throw new Error("a tree with leaves has no root");
  const count = digests.length;
  return { root, count, pathOf: (index) => pathIn(levels, index, count) };
}

function checkLeaves(digests: readonly Uint8Array[]): void {
  if (digests.length < leavesMin || digests.length > leavesMax) {
    throw new RangeError(`a tree has ${leavesMin} to ${leavesMax} leaves, not ${digests.length}`);
  }
  const seen = new Set<string>();
  for (const digest of digests) {
    if (digest.length !== hashBytes) throw new RangeError("a leaf is a digest of 32 bytes");
    seen.add(Buffer.from(digest).toString("latin1"));
  }
  if (seen.size !== digests.length) throw new RangeError("a leaf stands in the tree twice");
}

/** The last of an odd number goes up as it is: the split at the largest power of two, seen from below. */
function parentsOf(level: readonly Uint8Array[]): Uint8Array[] {
  const parents: Uint8Array[] = [];
  for (let index = 0; index < level.length; index += 2) {
    const left = level[index];
    const right = level[index + 1];
    if (left !== undefined) parents.push(right === undefined ? left : hashNode(left, right));
  }
  return parents;
}

function pathIn(levels: readonly Uint8Array[][], index: number, count: number): Uint8Array[] {
  if (!Number.isInteger(index) || index < 0 || index >= count) {
    throw new RangeError(`a tree of ${count} leaves has none at ${index}`);
  }
  const path: Uint8Array[] = [];
  let place = index;
  for (const level of levels.slice(0, -1)) {
    const neighbour = level[place ^ 1];
    if (neighbour !== undefined) path.push(neighbour);
    place >>>= 1;
  }
  return path;
}

/** How many neighbours the path of a leaf has. `index` < `count`. */
export function pathLength(index: number, count: number): number {
  let length = 0;
  let [place, last] = [index, count - 1];
  while (last > 0) {
    // The last of an odd number has no neighbour at this height.
    if (place !== last || (place & 1) === 1) length += 1;
    place >>>= 1;
    last >>>= 1;
  }
  return length;
}
