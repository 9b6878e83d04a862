import { Code } from "@connectrpc/connect";
import { type CommonErrorKind, commonErrors, type ErrorMap } from "#common/rpc/errors.ts";
import { ErrorReason } from "#gen/sovr/common/v1/error_reason_pb.ts";
import type { DistrustKind } from "./attestation.ts";

/** Every kind of DomainError that leaves this service. */
export type AttestorErrorKind =
  | CommonErrorKind
  | DistrustKind
  | "INTENT_EXPIRED"
  | "INTENT_NOT_YET_VALID"
  | "INTENT_ID_REUSED";

/** What each becomes on the wire. */
export const attestorErrors = {
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
} as const satisfies ErrorMap<AttestorErrorKind>;
