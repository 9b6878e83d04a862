import { Code } from "@connectrpc/connect";
import type { ErrorMap } from "#common/rpc/errors.ts";
import { intentErrors } from "#common/rpc/intent-errors.ts";
import { ErrorReason } from "#gen/sovr/common/v1/error_reason_pb.ts";

/** What Checkout throws: its own refusals, and those of Attestor and Clearing, which it passes on as they are. */
export const checkoutErrors = {
  ...intentErrors,
  INTENT_FAILED: { code: Code.FailedPrecondition, reason: ErrorReason.INTENT_FAILED },
  INSUFFICIENT_FUNDS: { code: Code.FailedPrecondition, reason: ErrorReason.INSUFFICIENT_FUNDS },
  ACCOUNT_CLOSED: { code: Code.FailedPrecondition, reason: ErrorReason.ACCOUNT_CLOSED },
  ACCOUNT_NOT_FOUND: { code: Code.NotFound, reason: ErrorReason.ACCOUNT_NOT_FOUND },
  ORDER_ID_REUSED: { code: Code.AlreadyExists, reason: ErrorReason.ORDER_ID_REUSED },
  PAYMENT_METHOD_UNAVAILABLE: {
    code: Code.FailedPrecondition,
    reason: ErrorReason.PAYMENT_METHOD_UNAVAILABLE,
  },
  AMOUNT_MISMATCH: { code: Code.InvalidArgument, reason: ErrorReason.AMOUNT_MISMATCH },
  NOT_REFUNDABLE: { code: Code.FailedPrecondition, reason: ErrorReason.NOT_REFUNDABLE },
  NOT_FULFILLABLE: { code: Code.FailedPrecondition, reason: ErrorReason.NOT_FULFILLABLE },
  CHECKOUT_NOT_FOUND: { code: Code.NotFound, reason: ErrorReason.CHECKOUT_NOT_FOUND },
  WEBHOOK_EVENT_NOT_FOUND: { code: Code.NotFound, reason: ErrorReason.WEBHOOK_EVENT_NOT_FOUND },
  PAYMENTS_UNAVAILABLE: { code: Code.Unavailable, reason: ErrorReason.PAYMENTS_UNAVAILABLE },
} as const satisfies ErrorMap<string>;

export type CheckoutErrorKind = keyof typeof checkoutErrors;
