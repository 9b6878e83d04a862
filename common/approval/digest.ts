import type { DomainEncoder } from "#common/intent/digest.ts";
import { keccak256 } from "#common/keccak256.ts";
import type { Approval, Decision } from "./approval.ts";
import { approvalTypes } from "./typed-data.ts";

/** What an approver signs: the EIP-712 digest of an approval of the intent with `intentDigest`, both lower-case `0x` hex. */
export type DigestApproval = (
  intentDigest: string,
  approval: Pick<Approval, "decision" | "issueTime" | "expireTime">,
) => string;

const type = `Approval(${approvalTypes.Approval.map((field) => `${field.type} ${field.name}`).join(",")})`;
const typeHash = keccak256(Buffer.from(type, "ascii"));
const decisionHashes: Readonly<Record<Decision, Uint8Array>> = {
  APPROVE: keccak256(Buffer.from("APPROVE", "ascii")),
  REJECT: keccak256(Buffer.from("REJECT", "ascii")),
};

/** Makes the digest function of a domain. */
export function approvalDigester(encode: DomainEncoder): DigestApproval {
  return (intentDigest, { decision, issueTime, expireTime }) => {
    const struct = Buffer.alloc(5 * 32);
    struct.set(typeHash, 0);
    struct.write(intentDigest.slice(2), 32, 32, "hex");
    struct.set(decisionHashes[decision], 64);
    struct.writeBigUInt64BE(issueTime, 96 + 24);
    struct.writeBigUInt64BE(expireTime, 128 + 24);
    return `0x${Buffer.from(keccak256(encode(keccak256(struct)))).toString("hex")}`;
  };
}
