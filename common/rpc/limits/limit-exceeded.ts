import { DomainError } from "#common/domain-error.ts";

/** The refusal of what is too many at once; it goes down by itself. `what`: in words that follow a number. */
export function limitExceeded(limit: number, what: string): DomainError<"LIMIT_EXCEEDED"> {
  return new DomainError("LIMIT_EXCEEDED", `At most ${limit} ${what}; try again a little later.`, {
    metadata: { limit: String(limit), what },
  });
}
