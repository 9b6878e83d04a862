import { asError, DomainError } from "#common/domain-error.ts";

/**
 * What a reader throws where a request is not to be read, and every message around it completes: the path is made when
 * it is needed, and costs nothing where all is well.
 */
export class Unreadable extends Error {
  /** The steps from the request to the field, innermost first. */
  readonly #steps: string[];
  readonly rule: string;

  constructor(step: string, rule: string, description: string) {
    super(description);
    this.#steps = step === "" ? [] : [step];
    this.rule = rule;
  }

  /** The same, seen from one message further out. */
  within(step: string): this {
    this.#steps.push(step);
    return this;
  }

  get path(): string {
    return this.#steps.toReversed().join(".");
  }
}

/**
 * A list with too many items. The validator would say so too, but only after each of them was made and judged: in a request
 * of a mebibyte there is room for half a million empty ones, whose violations are a gigabyte.
 */
export function tooManyItems(name: string, itemsMax: number): Unreadable {
  return new Unreadable(name, "repeated.max_items", `it has more than ${itemsMax} items`);
}

/** The refusal of what a reader threw, ours or a library's, which knows no path: then `field` is it. */
export function refusalOf(error: unknown, field = ""): DomainError<"INVALID_FIELD"> {
  if (error instanceof Unreadable) return undecodable(error.message, error.path, error.rule, error);
  return undecodable(asError(error).message, field, "decode", error);
}

/** The refusal of a message that does not decode. `field` is the path to what is wrong, as far as that is known. */
export function undecodable(
  message: string,
  field = "",
  rule = "decode",
  cause?: unknown,
): DomainError<"INVALID_FIELD"> {
  const violation = { field, rule, description: message };
  const where = field === "" ? "" : `${field}: `;
  return new DomainError("INVALID_FIELD", `The message does not decode: ${where}${message}`, {
    metadata: { field, rule },
    violations: [violation],
    cause,
  });
}
