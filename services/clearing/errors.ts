import { Code } from "@connectrpc/connect";
import type { ErrorMap } from "#common/rpc/errors.ts";
import { intentErrors } from "#common/rpc/intent-errors.ts";
import { ErrorReason } from "#gen/sovr/common/v1/error_reason_pb.ts";

/** What Clearing throws beside what all who judge intents do, and what that becomes on the wire. */
export const clearingErrors = {
  ...intentErrors,
  INTENT_FAILED: { code: Code.FailedPrecondition, reason: ErrorReason.INTENT_FAILED },
  INSUFFICIENT_FUNDS: { code: Code.FailedPrecondition, reason: ErrorReason.INSUFFICIENT_FUNDS },
  ACCOUNT_CLOSED: { code: Code.FailedPrecondition, reason: ErrorReason.ACCOUNT_CLOSED },
  PENDING_ALREADY_POSTED: {
    code: Code.FailedPrecondition,
    reason: ErrorReason.PENDING_ALREADY_POSTED,
  },
  PENDING_ALREADY_VOIDED: {
    code: Code.FailedPrecondition,
    reason: ErrorReason.PENDING_ALREADY_VOIDED,
  },
  PENDING_EXPIRED: { code: Code.FailedPrecondition, reason: ErrorReason.PENDING_EXPIRED },
  ACCOUNT_NOT_FOUND: { code: Code.NotFound, reason: ErrorReason.ACCOUNT_NOT_FOUND },
  INTENT_NOT_FOUND: { code: Code.NotFound, reason: ErrorReason.INTENT_NOT_FOUND },
} as const satisfies ErrorMap<string>;

export type ClearingErrorKind = keyof typeof clearingErrors;
