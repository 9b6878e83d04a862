import { Code } from "@connectrpc/connect";
import { commonErrors, type ErrorMap } from "#common/rpc/errors.ts";
import { ErrorReason } from "#gen/sovr/common/v1/error_reason_pb.ts";

/** What Clearing throws beside the common kinds, and what that becomes on the wire. */
export const clearingErrors = {
  ...commonErrors,
  POSTING_NOT_ALLOWED: { code: Code.InvalidArgument, reason: ErrorReason.POSTING_NOT_ALLOWED },
  LEDGERS_DIFFER: { code: Code.InvalidArgument, reason: ErrorReason.LEDGERS_DIFFER },
  ATTESTATION_INVALID: { code: Code.PermissionDenied, reason: ErrorReason.ATTESTATION_INVALID },
  SIGNER_NOT_TRUSTED: { code: Code.PermissionDenied, reason: ErrorReason.SIGNER_NOT_TRUSTED },
  WALLET_SIGNATURE_INVALID: {
    code: Code.PermissionDenied,
    reason: ErrorReason.WALLET_SIGNATURE_INVALID,
  },
  INTENT_EXPIRED: { code: Code.FailedPrecondition, reason: ErrorReason.INTENT_EXPIRED },
  INTENT_NOT_YET_VALID: { code: Code.FailedPrecondition, reason: ErrorReason.INTENT_NOT_YET_VALID },
  INTENT_ID_REUSED: { code: Code.AlreadyExists, reason: ErrorReason.INTENT_ID_REUSED },
  INTENT_FAILED: { code: Code.FailedPrecondition, reason: ErrorReason.INTENT_FAILED },
  INSUFFICIENT_FUNDS: { code: Code.FailedPrecondition, reason: ErrorReason.INSUFFICIENT_FUNDS },
  ACCOUNT_CLOSED: { code: Code.FailedPrecondition, reason: ErrorReason.ACCOUNT_CLOSED },
  PENDING_NOT_FOUND: { code: Code.FailedPrecondition, reason: ErrorReason.PENDING_NOT_FOUND },
  PENDING_ALREADY_POSTED: {
    code: Code.FailedPrecondition,
    reason: ErrorReason.PENDING_ALREADY_POSTED,
  },
  PENDING_ALREADY_VOIDED: {
    code: Code.FailedPrecondition,
    reason: ErrorReason.PENDING_ALREADY_VOIDED,
  },
  PENDING_EXPIRED: { code: Code.FailedPrecondition, reason: ErrorReason.PENDING_EXPIRED },
  PENDING_AMOUNT_EXCEEDED: {
    code: Code.FailedPrecondition,
    reason: ErrorReason.PENDING_AMOUNT_EXCEEDED,
  },
  ACCOUNT_NOT_FOUND: { code: Code.NotFound, reason: ErrorReason.ACCOUNT_NOT_FOUND },
  INTENT_NOT_FOUND: { code: Code.NotFound, reason: ErrorReason.INTENT_NOT_FOUND },
} as const satisfies ErrorMap<string>;

export type ClearingErrorKind = keyof typeof clearingErrors;
