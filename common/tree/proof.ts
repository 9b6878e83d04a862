import {
  hashBytes,
  hashLeaf,
  hashNode,
  leavesMax,
  leavesMin,
  pathLength,
  pathMax,
} from "./merkle.ts";

/** That a leaf stands in a tree. The root is not in it: whoever verifies computes that. */
export interface TreeProof {
  /** From 0, below `count`. */
  readonly index: number;
  /** Leaves of the tree: 2 to 8,189. */
  readonly count: number;
  /** The neighbours from the leaf up, 32 bytes each: exactly as many as index and count demand. */
  readonly path: readonly Uint8Array[];
}

/** A proof that is none, and why. */
export interface ProofFault {
  readonly fault: string;
}

const headBytes = 8;

/** The shortest proof in bytes: of a tree of two. */
export const proofBytesMin = headBytes + hashBytes;

/** The longest: of a tree of 8,189. */
export const proofBytesMax = headBytes + pathMax * hashBytes;

/** A proof as bytes, its one spelling: index and count, u32 big-endian each, and the path. */
export function proofToBytes({ index, count, path }: TreeProof): Buffer {
  const bytes = Buffer.alloc(headBytes + path.length * hashBytes);
  bytes.writeUInt32BE(index, 0);
  bytes.writeUInt32BE(count, 4);
  for (const [height, hash] of path.entries()) bytes.set(hash, headBytes + height * hashBytes);
  return bytes;
}

/** Reads a proof. What is not in its one spelling, or cannot be of any tree, is a fault. */
export function proofFromBytes(bytes: Uint8Array): TreeProof | ProofFault {
  if (bytes.length < proofBytesMin || bytes.length > proofBytesMax) {
    return { fault: `a proof has ${proofBytesMin} to ${proofBytesMax} bytes, not ${bytes.length}` };
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const index = view.getUint32(0);
  const count = view.getUint32(4);
  if (count < leavesMin || count > leavesMax) {
    return { fault: `a tree has ${leavesMin} to ${leavesMax} leaves, not ${count}` };
  }
  if (index >= count) return { fault: `a tree of ${count} leaves has none at ${index}` };
  const length = pathLength(index, count);
  if (bytes.length !== headBytes + length * hashBytes) {
    return {
      fault: `the path of leaf ${index} of ${count} has ${length} hashes, no more, no fewer`,
    };
  }
  const path = Array.from({ length }, (_, height) =>
    bytes.subarray(headBytes + height * hashBytes, headBytes + (height + 1) * hashBytes),
  );
  return { index, count, path };
}

/**
 * The root, 32 bytes, of the tree in which a proof places a leaf (RFC 9162, 2.1.3.2). It proves nothing by itself: a
 * signature over this root and the count does. `proof` must have been read by proofFromBytes, or come from a tree.
 */
export function rootOfProof(digest: Uint8Array, { index, count, path }: TreeProof): Uint8Array {
  let [place, last] = [index, count - 1];
  let root = hashLeaf(digest);
  for (const neighbour of path) {
    // The last of an odd number has no neighbour at these heights.
    while (place === last && (place & 1) === 0) {
      place >>>= 1;
      last >>>= 1;
    }
    root = (place & 1) === 1 ? hashNode(neighbour, root) : hashNode(root, neighbour);
    place >>>= 1;
    last >>>= 1;
  }
  return root;
}
