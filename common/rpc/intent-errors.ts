import { Code } from "@connectrpc/connect";
import { ErrorReason } from "#gen/sovr/common/v1/error_reason_pb.ts";
import { commonErrors, type ErrorMap } from "./errors.ts";

/** What a service throws that judges intents, Attestor and Clearing alike, and what that becomes on the wire. */
export const intentErrors = {
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
  PENDING_NOT_FOUND: { code: Code.FailedPrecondition, reason: ErrorReason.PENDING_NOT_FOUND },
  PENDING_AMOUNT_EXCEEDED: {
    code: Code.FailedPrecondition,
    reason: ErrorReason.PENDING_AMOUNT_EXCEEDED,
  },
} as const satisfies ErrorMap<string>;

export type IntentErrorKind = keyof typeof intentErrors;
