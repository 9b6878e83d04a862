import { formatWallet, walletBytes } from "#common/address.ts";
import type { Approval } from "#common/approval/approval.ts";

/** Of an approval in a column `approvals`: decision, issue and expire time, approver, signature. */
export const approvalBytes = 1 + 8 + 8 + 20 + 65;

/** Packs approvals for a column `approvals`; "" if there are none. Lower-case `0x` hex. */
export function packApprovals(approvals: readonly Approval[] = []): string {
  if (approvals.length === 0) return "";
  const bytes = Buffer.alloc(approvals.length * approvalBytes);
  for (const [index, approval] of approvals.entries()) {
    const offset = index * approvalBytes;
    bytes[offset] = approval.decision === "APPROVE" ? 1 : 2;
    bytes.writeBigInt64BE(approval.issueTime, offset + 1);
    bytes.writeBigInt64BE(approval.expireTime, offset + 9);
    bytes.set(walletBytes(approval.approver), offset + 17);
    bytes.write(approval.signature.slice(2), offset + 37, 65, "hex");
  }
  return `0x${bytes.toString("hex")}`;
}

/** Unpacks a column `approvals`. */
export function unpackApprovals(bytes: Buffer): Approval[] {
  const approvals: Approval[] = [];
  for (let offset = 0; offset < bytes.length; offset += approvalBytes) {
    approvals.push({
      approver: formatWallet(bytes.subarray(offset + 17, offset + 37)),
      decision: bytes[offset] === 1 ? "APPROVE" : "REJECT",
      issueTime: bytes.readBigInt64BE(offset + 1),
      expireTime: bytes.readBigInt64BE(offset + 9),
      signature: `0x${bytes.toString("hex", offset + 37, offset + approvalBytes)}`,
    });
  }
  return approvals;
}

/** What of an attestation a column `approvals` holds: nothing where it is null, or is not there yet. */
export function approvalsOf(column: Buffer | null | undefined): {
  readonly approvals?: readonly Approval[];
} {
  return column ? { approvals: unpackApprovals(column) } : {};
}
