import { Code } from "@connectrpc/connect";
import { type CommonErrorKind, commonErrors, type ErrorMap } from "#common/rpc/errors.ts";
import { ErrorReason } from "#gen/sovr/common/v1/error_reason_pb.ts";

/** Why EventStream refuses. */
export type EventStreamErrorKind =
  | CommonErrorKind
  | "CURSOR_INVALID"
  | "CURSOR_WRONG_CLUSTER"
  | "CURSOR_IN_FUTURE"
  | "ACCOUNT_NOT_FOUND";

/** What each becomes on the wire. */
export const eventStreamErrors = {
  ...commonErrors,
  CURSOR_INVALID: { code: Code.InvalidArgument, reason: ErrorReason.CURSOR_INVALID },
  CURSOR_WRONG_CLUSTER: {
    code: Code.FailedPrecondition,
    reason: ErrorReason.CURSOR_WRONG_CLUSTER,
  },
  CURSOR_IN_FUTURE: { code: Code.OutOfRange, reason: ErrorReason.CURSOR_IN_FUTURE },
  ACCOUNT_NOT_FOUND: { code: Code.NotFound, reason: ErrorReason.ACCOUNT_NOT_FOUND },
} as const satisfies ErrorMap<EventStreamErrorKind>;
