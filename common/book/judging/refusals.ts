import { DomainError } from "#common/domain-error.ts";

/** The refusal of a posting by a rule, in the rule's words. */
export function notAllowed(index: number, rule: string): DomainError<"POSTING_NOT_ALLOWED"> {
  const field = `intent.postings[${index}]`;
  return new DomainError("POSTING_NOT_ALLOWED", `${field}: ${rule}`, { metadata: { field, rule } });
}
