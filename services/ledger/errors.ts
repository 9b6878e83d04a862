import { Code } from "@connectrpc/connect";
import { type CommonErrorKind, commonErrors, type ErrorMap } from "#common/rpc/errors.ts";
import { ErrorReason } from "#gen/sovr/common/v1/error_reason_pb.ts";

/** Every kind of DomainError that leaves this service. */
export type LedgerErrorKind =
  | CommonErrorKind
  | "ACCOUNT_NOT_FOUND"
  | "TRANSFER_NOT_FOUND"
  | "INTENT_NOT_FOUND";

/** What each becomes on the wire. */
export const ledgerErrors = {
  ...commonErrors,
  ACCOUNT_NOT_FOUND: { code: Code.NotFound, reason: ErrorReason.ACCOUNT_NOT_FOUND },
  TRANSFER_NOT_FOUND: { code: Code.NotFound, reason: ErrorReason.TRANSFER_NOT_FOUND },
  INTENT_NOT_FOUND: { code: Code.NotFound, reason: ErrorReason.INTENT_NOT_FOUND },
} as const satisfies ErrorMap<LedgerErrorKind>;
