export type Decision = "APPROVE" | "REJECT";

/** An approver's decision about one intent. */
export interface Approval {
  /** EIP-55. */
  readonly approver: string;
  readonly decision: Decision;
  /** Unix seconds. */
  readonly issueTime: bigint;
  /** Unix seconds. */
  readonly expireTime: bigint;
  /** 65 bytes as lower-case `0x` hex. */
  readonly signature: string;
}

/** The most approvals that one attestation carries, and the most approvers of a policy. */
export const approvalsMax = 16;
/** The longest that an approval counts, in seconds. */
export const approvalMaxSeconds = 86_400n;
