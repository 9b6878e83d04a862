import { create } from "@bufbuild/protobuf";
import { type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { parseWallet } from "#common/address.ts";
import { invalidField } from "#common/domain-error.ts";
import { parseSignature } from "#common/intent/signature.ts";
import {
  type Approval as ApprovalProto,
  ApprovalSchema,
  Decision as DecisionProto,
} from "#gen/sovr/attestor/v1/approval_pb.ts";
import { type Approval, approvalMaxSeconds, type Decision } from "./approval.ts";

const decisionToProto = {
  APPROVE: DecisionProto.APPROVE,
  REJECT: DecisionProto.REJECT,
} as const satisfies Record<Decision, DecisionProto>;

const decisionFromProto = new Map<number, Decision>(
  Object.entries(decisionToProto).map(([decision, number]) => [number, decision as Decision]),
);

/** Reads an approval from the wire. Throws INVALID_FIELD with paths below `field`. */
export function parseApproval(proto: ApprovalProto, field: string): Approval {
  const decision = decisionFromProto.get(proto.decision);
  if (decision === undefined)
    throw invalidField(`${field}.decision`, "enum.defined_only", "is unknown");
  const approval = {
    approver: parseWallet(proto.approver, `${field}.approver`),
    decision,
    issueTime: parseSeconds(proto.issueTime, `${field}.issue_time`),
    expireTime: parseSeconds(proto.expireTime, `${field}.expire_time`),
    signature: parseSignature(proto.signature, `${field}.signature`),
  };
  const lifetime = approval.expireTime - approval.issueTime;
  if (lifetime > 0n && lifetime <= approvalMaxSeconds) return approval;
  throw invalidField(
    `${field}.expire_time`,
    "approval.lifetime",
    `must be after issue_time by at most ${approvalMaxSeconds} seconds`,
  );
}

/** Reads the approvals of a message, in their order. Throws INVALID_FIELD with paths below `field`. */
export function parseApprovals(protos: readonly ApprovalProto[], field: string): Approval[] {
  return protos.map((proto, index) => parseApproval(proto, `${field}[${index}]`));
}

function parseSeconds(time: Timestamp | undefined, field: string): bigint {
  if (time === undefined) throw invalidField(field, "required", "is required");
  if (time.nanos !== 0)
    throw invalidField(field, "timestamp.whole_seconds", "must be whole seconds");
  if (time.seconds < 0n)
    throw invalidField(field, "timestamp.gte", "must not lie before 1970, which cannot be signed");
  return time.seconds;
}

/** Writes an approval for the wire. */
export function formatApproval(approval: Approval): ApprovalProto {
  return create(ApprovalSchema, {
    approver: approval.approver,
    decision: decisionToProto[approval.decision],
    issueTime: create(TimestampSchema, { seconds: approval.issueTime }),
    expireTime: create(TimestampSchema, { seconds: approval.expireTime }),
    signature: approval.signature,
  });
}
