import type { DomainEncoder } from "#common/intent/digest.ts";
import { keccak256 } from "#common/keccak256.ts";
import { hashBytes } from "./merkle.ts";

/** What the Attestor signs for all intents of a tree. Only the times of each intent decide when that is late. */
export interface AttestationBatch {
  /** 32 bytes: of the tree over the intents' digests. */
  readonly root: Uint8Array;
  readonly count: number;
  /** When it was signed, Unix seconds. */
  readonly issueTime: bigint;
}

/** The EIP-712 types of an AttestationBatch, without EIP712Domain: another type than an intent's, so neither passes for the other. */
export const attestationBatchTypes = {
  AttestationBatch: [
    { name: "root", type: "bytes32" },
    { name: "count", type: "uint32" },
    { name: "issuedAt", type: "uint64" },
  ],
} as const;

const batchTypeHash = keccak256(
  Buffer.from("AttestationBatch(bytes32 root,uint32 count,uint64 issuedAt)", "ascii"),
);

/** Gives the 66 bytes whose keccak-256 is signed for a tree: 19 01, the domain, the batch. */
export type EncodeBatch = (batch: AttestationBatch) => Uint8Array;

/** Makes the encoder of a domain. */
export function batchEncoder(encode: DomainEncoder): EncodeBatch {
  return ({ root, count, issueTime }) => {
    const struct = Buffer.alloc(4 * 32);
    struct.set(batchTypeHash, 0);
    struct.set(root.subarray(0, hashBytes), 32);
    struct.writeUInt32BE(count, 64 + 28);
    struct.writeBigUInt64BE(issueTime, 96 + 24);
    return encode(keccak256(struct));
  };
}

/** The digest that is signed for a tree: 32 bytes as lower-case `0x` hex. */
export type DigestBatch = (batch: AttestationBatch) => string;

/** Makes the digest function of a domain. */
export function batchDigester(encode: DomainEncoder): DigestBatch {
  const write = batchEncoder(encode);
  return (batch) => `0x${Buffer.from(keccak256(write(batch))).toString("hex")}`;
}
