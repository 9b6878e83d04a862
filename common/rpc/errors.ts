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
  type ErrorInfo,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "#gen/google/rpc/error_details_pb.ts";
import { type Status, StatusSchema } from "#gen/google/rpc/status_pb.ts";
import { tellKeyFault } from "./key-faults.ts";
import { isReason, keyFault, ruleOf } from "./reasons.ts";

/** The types of all details. JSON needs them wherever a message carries a google.rpc.Status. */
export const detailTypes = createRegistry(ErrorInfoSchema, BadRequestSchema, RetryInfoSchema);

/** The domain of every ErrorInfo. */
export const errorDomain = "sovr";

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
 * The wire form of anything that was thrown: a DomainError by the rule of its reason, a ConnectError that already
 * carries our ErrorInfo as it is, and anything else as INTERNAL with a generic text and the original as `cause`.
 * `traceId` is what a caller can quote when the fault is ours. Metadata keys that are not those of the rule go out as
 * they are, and `onKeyFault` hears of them.
 */
export function toConnectError(error: unknown, traceId?: string): ConnectError {
  if (error instanceof DomainError && isReason(error.kind)) return fromDomainError(error);
  if (error instanceof ConnectError && reasonOf(error) !== undefined) return withoutMetadata(error);
  return fromDomainError(new DomainError("INTERNAL", internalText(traceId), { cause: error }));
}

/** An error of a peer of ours goes on with its details, and without the peer's response headers. */
function withoutMetadata(error: ConnectError): ConnectError {
  const clean = new ConnectError(error.rawMessage, error.code, undefined, undefined, error.cause);
  clean.details = error.details;
  return clean;
}

function fromDomainError(error: DomainError): ConnectError {
  const { kind, metadata } = error;
  const rule = ruleOf(kind);
  const code = error.early ? rule.earlyCode : rule.code;
  const fault = keyFault(kind, metadata);
  if (fault !== undefined) tellKeyFault({ reason: kind, text: fault });
  const details: Detail[] = [
    detail(ErrorInfoSchema, {
      reason: kind,
      domain: errorDomain,
      metadata: boundedMetadata(metadata),
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

/** Why a call failed, "INSUFFICIENT_FUNDS" or the like; undefined if the error does not come from a service of ours. */
export function reasonOf(error: ConnectError): string | undefined {
  return infoOf(error)?.reason;
}

/** The same with its metadata. */
export function infoOf(error: ConnectError): ErrorInfo | undefined {
  return error.findDetails(ErrorInfoSchema).find((info) => info.domain === errorDomain);
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
