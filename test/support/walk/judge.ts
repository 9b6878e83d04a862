import { getOption } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { ErrorReasonSchema } from "#gen/sovr/common/v1/error_reason_pb.ts";
import { error_rule as errorRule, RetryRule } from "#gen/sovr/common/v1/error_rule_pb.ts";

/** The reason of an error; the name of its code, such as "DeadlineExceeded", where it has none. */
export function reasonIn(error: ConnectError): string {
  const infos = error.findDetails(ErrorInfoSchema);
  return infos.map(({ reason }) => reason).join(" and ") || (Code[error.code] ?? "");
}

/**
 * What is wrong with an error, whatever it tells of: one ErrorInfo with a reason of the contract, the code and the keys that
 * the contract gives it, RetryInfo where it asks the caller to come back, and never INTERNAL.
 */
export function faultOf(error: ConnectError): string | undefined {
  const infos = error.findDetails(ErrorInfoSchema);
  const [info] = infos;
  if (info === undefined || infos.length !== 1) return `${infos.length} ErrorInfo: ${error}`;
  const value = ErrorReasonSchema.values.find(({ localName }) => localName === info.reason);
  if (value === undefined || info.domain !== "sovr")
    return `unknown: ${info.domain} ${info.reason}`;
  if (info.reason === "INTERNAL") return `INTERNAL: ${error}`;
  const rule = getOption(value, errorRule);
  const codes: number[] = rule.earlyCode === 0 ? [rule.code] : [rule.code, rule.earlyCode];
  if (!codes.includes(error.code)) return `${info.reason} with ${Code[error.code]}`;
  const keys = Object.keys(info.metadata);
  const missing = rule.requiredKeys.filter((key) => !keys.includes(key));
  const known = [...rule.requiredKeys, ...rule.optionalKeys];
  const strange = keys.filter((key) => !known.includes(key));
  if (missing.length + strange.length > 0) return `${info.reason} with the keys ${keys}`;
  const delays = error.findDetails(RetryInfoSchema).map(({ retryDelay }) => retryDelay);
  const mustWait =
    rule.retry === RetryRule.LATER ||
    error.code === Code.Unavailable ||
    error.code === Code.ResourceExhausted;
  if (delays.length !== (mustWait ? 1 : 0)) return `${info.reason} with ${delays.length} RetryInfo`;
  const [delay] = delays;
  if (mustWait && (delay === undefined || durationMs(delay) <= 0)) {
    return `${info.reason} with a RetryInfo without delay`;
  }
  return undefined;
}
