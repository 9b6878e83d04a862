import { keccak256 } from "ethers/crypto";
import { TypedDataEncoder } from "ethers/hash";
import { concat, dataLength, dataSlice, isHexString, toNumber } from "ethers/utils";
import type { AttestedTree } from "#gen/sovr/attestor/v1/attestation_pb.ts";
import type { GetDomainResponse } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { domainOf } from "./intent-digest.ts";

/** What the Attestor signs for many intents at once, in the form that this app knows. */
const batchTypes = {
  AttestationBatch: [
    { name: "root", type: "bytes32" },
    { name: "count", type: "uint32" },
    { name: "issuedAt", type: "uint64" },
  ],
};

const headBytes = 8;
const leavesMax = 8_189;

/**
 * The digest under which a tree of intents was signed, 32 bytes as lower-case `0x` hex: from an intent's digest and its
 * proof alone. Undefined if the proof is none, or the mesh signs trees in a form that this app
 * does not know.
 */
export function treeDigest(
  domain: GetDomainResponse,
  digest: string,
  { proof, issueTime }: AttestedTree,
): string | undefined {
  const told: unknown = JSON.parse(domain.batchTypesJson || "null");
  if (JSON.stringify(told) !== JSON.stringify(batchTypes)) return undefined;
  if (!isHexString(proof) || proof.length % 2 !== 0) return undefined;
  const length = dataLength(proof);
  if (length < headBytes) return undefined;
  const index = toNumber(dataSlice(proof, 0, 4));
  const count = toNumber(dataSlice(proof, 4, headBytes));
  if (count < 2 || count > leavesMax || index >= count) return undefined;
  const path: string[] = [];
  for (let at = headBytes; at + 32 <= length; at += 32) path.push(dataSlice(proof, at, at + 32));
  if (length !== headBytes + path.length * 32) return undefined;
  const root = climb(keccak256(concat(["0x00", digest])), index, count, path);
  const issuedAt = issueTime?.seconds ?? 0n;
  return root && TypedDataEncoder.hash(domainOf(domain), batchTypes, { root, count, issuedAt });
}

/** The root above a leaf, top down: which half of the tree it stands in, and what the other half hashes to. */
function climb(leaf: string, index: number, count: number, path: string[]): string | undefined {
  if (count === 1) return path.length === 0 ? leaf : undefined;
  const other = path.at(-1);
  if (other === undefined) return undefined;
  const below = path.slice(0, -1);
  let split = 1;
  while (split * 2 < count) split *= 2;
  const own =
    index < split
      ? climb(leaf, index, split, below)
      : climb(leaf, index - split, count - split, below);
  if (own === undefined) return undefined;
  return keccak256(concat(index < split ? ["0x01", own, other] : ["0x01", other, own]));
}
