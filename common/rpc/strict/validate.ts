import type { DescMessage, Message } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import { DomainError, type FieldViolation } from "#common/domain-error.ts";

/** Checks messages against the protovalidate rules of their proto. */
export interface RequestValidator {
  /** Throws INVALID_FIELD with every violation; a rule that does not compile is an Error, thus INTERNAL. */
  check(schema: DescMessage, message: Message): void;
}

const patterns = new Map<string, RegExp>();

/**
 * Matches with the platform's RegExp, compiled once: six times as fast as the RE2 in JavaScript that protovalidate
 * brings. RE2 is there for patterns from strangers; all of ours are constants in proto/, anchored and linear. There
 * are as many as the protos hold, so the map is bounded.
 */
function matchPattern(pattern: string, text: string): boolean {
  let regExp = patterns.get(pattern);
  if (regExp === undefined) {
    regExp = new RegExp(pattern, "u");
    patterns.set(pattern, regExp);
  }
  return regExp.test(text);
}

export function createRequestValidator(): RequestValidator {
  const validator = createValidator({ regexMatch: matchPattern });
  return {
    check(schema, message) {
      const result = validator.validate(schema, message);
      if (result.kind === "valid") return;
      if (result.kind === "error") throw result.error;
      throw invalidFields(
        result.violations.map((violation) => ({
          field: pathToString(violation.field),
          rule: violation.ruleId,
          description: violation.message,
        })),
      );
    },
  };
}

/** One INVALID_FIELD for all violations; its metadata name the first. A rule of a whole request has the field "". */
function invalidFields(violations: readonly FieldViolation[]): DomainError<"INVALID_FIELD"> {
  const { field = "", rule = "", description = "is invalid" } = violations[0] ?? {};
  const more = violations.length > 1 ? ` (and ${violations.length - 1} more)` : "";
  return new DomainError("INVALID_FIELD", `${field || "request"}: ${description}${more}`, {
    metadata: { field, rule },
    violations,
  });
}
