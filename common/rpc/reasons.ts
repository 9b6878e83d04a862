import { getOption } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { Reason } from "#common/domain-error.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/sovr/common/v1/error_reason_pb.ts";
import { error_rule as errorRule, RetryRule } from "#gen/sovr/common/v1/error_rule_pb.ts";

/** What the contract says of a reason, by its option `error_rule`. */
export interface ReasonRule {
  readonly code: Code;
  /** The code while the caller still has time; mostly the same. */
  readonly earlyCode: Code;
  /** The metadata keys that an error with this reason always has. */
  readonly requiredKeys: readonly string[];
  /** Those that it may have beside them. */
  readonly optionalKeys: readonly string[];
}

// Read once: an option is decoded anew each time that it is asked for.
const rules: ReadonlyMap<string, ReasonRule> = new Map(
  ErrorReasonSchema.values
    .filter(({ number }) => number !== ErrorReason.UNSPECIFIED)
    .map((value) => {
      const rule = getOption(value, errorRule);
      const { requiredKeys, optionalKeys } = rule;
      const code = connectCode(rule.code);
      const earlyCode = connectCode(rule.earlyCode) ?? code;
      if (code === undefined || earlyCode === undefined || rule.retry === RetryRule.UNSPECIFIED)
        throw new Error(`${value.name} has no rule: see error_rule.proto`);
      return [value.localName, Object.freeze({ code, earlyCode, requiredKeys, optionalKeys })];
    }),
);

/** Connect numbers the codes as google.rpc does, and has none for success. */
function connectCode(code: number): Code | undefined {
  return Code[code] === undefined ? undefined : code;
}

/** True for the name of a reason without its prefix, such as "INVALID_FIELD". */
export function isReason(name: string): name is Reason {
  return rules.has(name);
}

/** The rule of a reason. */
export function ruleOf(reason: Reason): ReasonRule {
  const rule = rules.get(reason);
  if (rule === undefined) throw new Error(`there is no reason ${reason}`);
  return rule;
}

/** What is wrong with the metadata keys of an error, in words; undefined if they are those of its reason's rule. */
export function keyFault(
  reason: Reason,
  metadata: Readonly<Record<string, string>>,
): string | undefined {
  const { requiredKeys, optionalKeys } = ruleOf(reason);
  const keys = Object.keys(metadata);
  const missing = requiredKeys.filter((key) => !keys.includes(key));
  const unknown = keys.filter((key) => !requiredKeys.includes(key) && !optionalKeys.includes(key));
  if (missing.length === 0 && unknown.length === 0) return undefined;
  return `${reason} went out without [${missing.join(", ")}] and with unknown [${unknown.join(", ")}]`;
}
