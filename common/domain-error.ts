/** One field that breaks one rule. `field` is the proto path from the request's root, such as `intent.postings[0].amount`. */
export interface FieldViolation {
  readonly field: string;
  /** The rule's id, such as `string.pattern` or `intent.lifetime`. */
  readonly rule: string;
  /** A sentence for people. */
  readonly description: string;
}

export interface DomainErrorOptions {
  /** Values for programs, with lowerCamelCase keys; ErrorReason documents them by example. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly violations?: readonly FieldViolation[];
  /** How long to wait before trying again, in milliseconds. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/**
 * What the core throws when it refuses. `kind` is the name of a sovr.common.v1.ErrorReason without its prefix;
 * only a service's errors.ts knows which status code that becomes. The message speaks to people.
 */
export class DomainError<Kind extends string = string> extends Error {
  override readonly name = "DomainError";
  readonly kind: Kind;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];
  readonly retryAfterMs: number | undefined;

  constructor(kind: Kind, message: string, options: DomainErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.kind = kind;
    this.metadata = options.metadata ?? {};
    this.violations = options.violations ?? [];
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** The refusal of one malformed field. */
export function invalidField(
  field: string,
  rule: string,
  description: string,
): DomainError<"INVALID_FIELD"> {
  return new DomainError("INVALID_FIELD", `${field}: ${description}`, {
    metadata: { field, rule },
    violations: [{ field, rule, description }],
  });
}

/** What was thrown, as an Error: anything may be. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
