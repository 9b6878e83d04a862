import Stripe from "stripe";
import { type CallLimit, raceDeadline } from "#common/deadline.ts";
import { DomainError } from "#common/domain-error.ts";

/** What a call to Stripe came to. */
export type StripeOutcome = "answered" | "refused" | "unavailable";

/** Hears of every call that ended. */
export type OnCall = (operation: string, outcome: StripeOutcome, durationMs: number) => void;

/** No call takes longer, whatever its deadline. */
const callMsMax = 30_000;
/** When to come back after Stripe did not answer, or asked to be left alone. */
const retryAfterMs = 1_000;

/** Runs one request within a limit and turns what it throws into what the ports promise. */
export type Call = <T>(
  operation: string,
  limit: CallLimit,
  send: (options: Stripe.RequestOptions) => Promise<T>,
) => Promise<T>;

/** Makes the one way in which Stripe is called. Throws PAYMENTS_UNAVAILABLE without an answer, else StripeRefusal. */
export function caller(onCall: OnCall | undefined): Call {
  return async (operation, limit, send) => {
    const startMs = performance.now();
    const finish = (outcome: StripeOutcome) =>
      onCall?.(operation, outcome, performance.now() - startMs);
    const waitMs = Math.min(limit.deadlineMs - Date.now(), callMsMax);
    const late = () => unavailable(`${operation}: no answer in time`);
    try {
      if (waitMs < 1 || limit.signal?.aborted === true) throw late();
      // The SDK's timeout is about silence and closes the connection; ours is about the whole.
      const sent = send({ timeout: Math.ceil(waitMs) });
      const bound = { deadlineMs: Date.now() + waitMs, signal: limit.signal };
      const result = await raceDeadline(sent, bound, late);
      finish("answered");
      return result;
    } catch (error) {
      const translated = translate(operation, error);
      const gone = translated instanceof DomainError && translated.kind === "PAYMENTS_UNAVAILABLE";
      finish(gone ? "unavailable" : "refused");
      throw translated;
    }
  };
}

/** A refusal by Stripe, with nothing in it but what may be logged: its own errors carry whole objects and secrets. */
export class StripeRefusal extends Error {
  override readonly name = "StripeRefusal";
  /** Stripe's error code; undefined if it gave none. */
  readonly code: string | undefined;
  /** The SDK's name for the kind of refusal. */
  readonly type: string;

  constructor(operation: string, error: Stripe.errors.StripeError) {
    const { type, code, param, statusCode, requestId } = error;
    const parts = [type, code, param, statusCode, requestId].filter((part) => part !== undefined);
    super(`Stripe refuses ${operation}: ${printable(parts.join(" "))}`);
    this.code = code;
    this.type = type;
  }
}

/** True for a refusal with that error code of Stripe's. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof StripeRefusal && error.code === code;
}

/** Everything that the SDK can throw. What is not Stripe's word is a fault of ours and passes. */
function translate(operation: string, error: unknown): unknown {
  if (!(error instanceof Stripe.errors.StripeError)) return error;
  const { type, code, statusCode: status } = error;
  // Without a status there was no answer, or none that was JSON. 409: the same key is at work at this moment.
  if (status === undefined || status >= 500 || status === 429 || status === 409) {
    return unavailable(printable(`${operation}: ${type} ${status ?? ""} ${code ?? ""}`.trim()));
  }
  return new StripeRefusal(operation, error);
}

function unavailable(cause: string): DomainError<"PAYMENTS_UNAVAILABLE"> {
  return new DomainError("PAYMENTS_UNAVAILABLE", "card payments cannot be reached just now", {
    retryAfterMs,
    cause: new Error(cause),
  });
}

/** Stripe's words as they may be kept: at most 256 characters of printable ASCII. */
export function printable(text: string): string {
  return text.replace(/[^ -~]/g, "?").slice(0, 256);
}
