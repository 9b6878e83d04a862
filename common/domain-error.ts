import type { ErrorMetadata } from "#gen/sovr/common/v1/error_metadata.ts";
import type { ErrorReason } from "#gen/sovr/common/v1/error_reason_pb.ts";

/** Why something is refused: a sovr.common.v1.ErrorReason without its prefix. */
export type Reason = Exclude<keyof typeof ErrorReason, "UNSPECIFIED">;

/** One field that breaks one rule. `field` is the proto path from the request's root, such as `intent.postings[0].amount`. */
export interface FieldViolation {
  readonly field: string;
  /** The rule's id, such as `string.pattern` or `intent.lifetime`. */
  readonly rule: string;
  /** A sentence for people. */
  readonly description: string;
}

interface ErrorExtras {
  readonly violations?: readonly FieldViolation[];
  /** How long to wait before trying again, in milliseconds. */
  readonly retryAfterMs?: number;
  /** True: the caller still has time. It decides about the code of reasons that speak of a deadline. */
  readonly early?: boolean;
  readonly cause?: unknown;
}

/** The metadata that the contract asks of a reason; of one among several reasons, what suits every one of them. */
type MetadataOf<Kind extends Reason> = (
  Kind extends Reason
    ? (metadata: ErrorMetadata[Kind]) => void
    : never
) extends (metadata: infer Metadata) => void
  ? Metadata
  : never;

/** What comes behind the message: values for programs under `metadata`, and not optional where a key is required. */
type Rest<Kind extends Reason> =
  Record<never, never> extends MetadataOf<Kind>
    ? [options?: ErrorExtras & { readonly metadata?: MetadataOf<Kind> }]
    : [options: ErrorExtras & { readonly metadata: MetadataOf<Kind> }];

/**
 * What the core throws when it refuses. The option `error_rule` of the reason says which status code that becomes, and
 * which metadata keys it has: other keys do not compile. The message speaks to people.
 */
export class DomainError<Kind extends Reason = Reason> extends Error {
  /** For the compiler alone: without it, `instanceof` gives a `kind` that may be compared with anything. */
  declare static readonly [Symbol.hasInstance]: (value: unknown) => value is DomainError;
  override readonly name = "DomainError";
  readonly kind: Kind;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];
  readonly retryAfterMs: number | undefined;
  readonly early: boolean;

  constructor(kind: Kind, message: string, ...[options = {}]: Rest<Kind>) {
    super(message, { cause: options.cause });
    this.kind = kind;
    this.metadata = options.metadata ?? {};
    this.violations = options.violations ?? [];
    this.retryAfterMs = options.retryAfterMs;
    this.early = options.early ?? false;
  }

  /**
   * An error that somebody else has made, such as a peer: its reason is known only now, and so is its metadata. It is
   * passed on as it came.
   */
  static received(
    kind: Reason,
    message: string,
    options: ErrorExtras & { readonly metadata: Readonly<Record<string, string>> },
  ): DomainError {
    return new DomainError<Reason>(kind, message, options as never);
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
