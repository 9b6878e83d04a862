import type { DescMessage, Message } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import { DomainError, type FieldViolation } from "#common/domain-error.ts";

/** Checks messages against the protovalidate rules of their proto. */
export interface RequestValidator {
  /** Throws INVALID_FIELD with every violation; a rule that does not compile is an Error, thus INTERNAL. */
  check(schema: DescMessage, message: Message): void;
}

export function createRequestValidator(): RequestValidator {
  const validator = createValidator();
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
