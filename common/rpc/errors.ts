import {
  create,
  createRegistry,
  type DescMessage,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { anyPack, durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { DomainError, type FieldViolation } from "#common/domain-error.ts";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "#gen/google/rpc/error_details_pb.ts";
import { type Status, StatusSchema } from "#gen/google/rpc/status_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/sovr/common/v1/error_reason_pb.ts";

/** What a kind of DomainError becomes on the wire. */
export interface ErrorMapping {
  readonly code: Code;
  readonly reason: ErrorReason;
}

/** A total map from the kinds that a service throws. */
export type ErrorMap<Kind extends string> = Readonly<Record<Kind, ErrorMapping>>;

/** The types of all details. JSON needs them wherever a message carries a google.rpc.Status. */
export const detailTypes = createRegistry(ErrorInfoSchema, BadRequestSchema, RetryInfoSchema);

/** The domain of every ErrorInfo. */
export const errorDomain = "sovr";

/** The kinds that every service can throw, because the runtime or a shared driver does. */
export const commonErrors = {
  INVALID_FIELD: { code: Code.InvalidArgument, reason: ErrorReason.INVALID_FIELD },
  CREDENTIALS_MISSING: { code: Code.Unauthenticated, reason: ErrorReason.CREDENTIALS_MISSING },
  CREDENTIALS_INVALID: { code: Code.Unauthenticated, reason: ErrorReason.CREDENTIALS_INVALID },
  SCOPE_MISSING: { code: Code.PermissionDenied, reason: ErrorReason.SCOPE_MISSING },
  LIMIT_EXCEEDED: { code: Code.ResourceExhausted, reason: ErrorReason.LIMIT_EXCEEDED },
  RATE_LIMITED: { code: Code.ResourceExhausted, reason: ErrorReason.RATE_LIMITED },
  SLOW_CONSUMER: { code: Code.ResourceExhausted, reason: ErrorReason.SLOW_CONSUMER },
  NOT_SENT: { code: Code.DeadlineExceeded, reason: ErrorReason.NOT_SENT },
  OUTCOME_UNKNOWN: { code: Code.DeadlineExceeded, reason: ErrorReason.OUTCOME_UNKNOWN },
  LEDGER_UNAVAILABLE: { code: Code.Unavailable, reason: ErrorReason.LEDGER_UNAVAILABLE },
  RECORDS_UNAVAILABLE: { code: Code.Unavailable, reason: ErrorReason.RECORDS_UNAVAILABLE },
  DRAINING: { code: Code.Unavailable, reason: ErrorReason.DRAINING },
  INTERNAL: { code: Code.Internal, reason: ErrorReason.INTERNAL },
  METHOD_NOT_FOUND: { code: Code.Unimplemented, reason: ErrorReason.METHOD_NOT_FOUND },
  CANCELLED: { code: Code.Canceled, reason: ErrorReason.CANCELLED },
} as const satisfies ErrorMap<string>;

export type CommonErrorKind = keyof typeof commonErrors;

/** What a caller reads when the fault is ours. The cause is only in the log, under the id. */
function internalText(traceId: string | undefined): string {
  const hint = traceId === undefined ? "" : ` The log has the cause under ${traceId}.`;
  return `Something went wrong on our side.${hint}`;
}

/** When to come back if the error does not say: long enough for a restart, short enough for a person. */
const retryAfterMsDefault = 1_000;

// Details travel in a trailer, and peers refuse trailers beyond some kilobytes.
const violationsMax = 20;
const violationTextLengthMax = 120;
const metadataValueLengthMax = 512;
const messageLengthMax = 1_024;

/** Cuts a text to a length, and never leaves half a surrogate pair: encodeURI, which gRPC runs on messages, throws on one. */
function bounded(text: string, lengthMax: number): string {
  return text.slice(0, lengthMax).toWellFormed();
}

/**
 * The wire form of anything that was thrown: a DomainError by `map`, an error of the common kinds by
 * `commonErrors`, a ConnectError that already carries our ErrorInfo as it is, and anything else as INTERNAL with
 * a generic text and the original as `cause`. `traceId` is what a caller can quote when the fault is ours.
 */
export function toConnectError(
  error: unknown,
  map: ErrorMap<string>,
  traceId?: string,
): ConnectError {
  if (error instanceof DomainError) {
    const mapping = mappingOf(error.kind, map) ?? mappingOf(error.kind, commonErrors);
    if (mapping !== undefined) return fromDomainError(error, mapping);
  }
  if (error instanceof ConnectError && reasonOf(error) !== undefined) return withoutMetadata(error);
  return fromDomainError(
    new DomainError("INTERNAL", internalText(traceId), { cause: error }),
    commonErrors.INTERNAL,
  );
}

/** An error of a peer of ours goes on with its details, and without the peer's response headers. */
function withoutMetadata(error: ConnectError): ConnectError {
  const clean = new ConnectError(error.rawMessage, error.code, undefined, undefined, error.cause);
  clean.details = error.details;
  return clean;
}

function mappingOf(kind: string, map: ErrorMap<string>): ErrorMapping | undefined {
  return Object.hasOwn(map, kind) ? map[kind] : undefined;
}

function fromDomainError(error: DomainError, { code, reason }: ErrorMapping): ConnectError {
  const details: Detail[] = [
    detail(ErrorInfoSchema, {
      reason: reasonName(reason),
      domain: errorDomain,
      metadata: boundedMetadata(error.metadata),
    }),
  ];
  if (error.violations.length > 0) {
    const fieldViolations = error.violations.slice(0, violationsMax).map(toFieldViolation);
    details.push(detail(BadRequestSchema, { fieldViolations }));
  }
  if (code === Code.Unavailable || code === Code.ResourceExhausted) {
    const retryDelay = durationFromMs(error.retryAfterMs ?? retryAfterMsDefault);
    details.push(detail(RetryInfoSchema, { retryDelay }));
  }
  const message = bounded(error.message, messageLengthMax);
  return new ConnectError(message, code, undefined, details, error.cause ?? error);
}

interface Detail {
  readonly desc: DescMessage;
  readonly value: MessageInitShape<DescMessage>;
}

function detail<Desc extends DescMessage>(desc: Desc, value: MessageInitShape<Desc>): Detail {
  return { desc, value: create(desc, value) };
}

function boundedMetadata(metadata: Readonly<Record<string, string>>): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [key, value] of Object.entries(metadata)) {
    result[key] = bounded(value, metadataValueLengthMax);
  }
  return result;
}

function toFieldViolation(violation: FieldViolation) {
  return {
    field: bounded(violation.field, violationTextLengthMax),
    description: bounded(violation.description, violationTextLengthMax),
    // google.rpc asks for UPPER_SNAKE_CASE here, so `string.pattern` becomes STRING_PATTERN.
    reason: violation.rule
      .toUpperCase()
      .replace(/[^A-Z0-9]+/g, "_")
      .slice(0, 63),
  };
}

/** The name of a reason without its prefix, such as "INVALID_FIELD". */
export function reasonName(reason: ErrorReason): string {
  const name = ErrorReasonSchema.value[reason]?.name ?? "ERROR_REASON_INTERNAL";
  return name.slice("ERROR_REASON_".length);
}

/** Why a call failed, "INSUFFICIENT_FUNDS" or the like; undefined if the error does not come from a service of ours. */
export function reasonOf(error: ConnectError): string | undefined {
  return error.findDetails(ErrorInfoSchema).find((info) => info.domain === errorDomain)?.reason;
}

/** The google.rpc.Status of an error: what ClearBatch answers for one intent, and what gRPC carries in its trailer. */
export function toStatus(error: ConnectError): Status {
  return create(StatusSchema, {
    code: error.code,
    message: error.rawMessage,
    details: error.details.map((item) =>
      "desc" in item
        ? anyPack(item.desc, create(item.desc, item.value))
        : { typeUrl: `type.googleapis.com/${item.type}`, value: item.value },
    ),
  });
}
