import type { CallLimit } from "#common/deadline.ts";
import type { UnaryContext } from "./unary-context.ts";

const marginMsMin = 20;
const marginShare = 0.05;

/** What of a caller's time its answer needs to go back in. */
export function answerMarginMs(timeoutMs: number): number {
  return Math.max(marginMsMin, timeoutMs * marginShare);
}

/** The headers that name a call to everyone who works on it. */
const traceHeaders = ["traceparent", "x-request-id"] as const;

/**
 * What a handler gives to what it calls: the time of its own call, less a margin in which the answer, whatever it is,
 * goes back. The margin is a twentieth and at least 20 ms. A fixed one serves nobody: who gives a second or ten has a
 * longer way and a busier machine between, and a caller who gives 60 ms would lose most of it. The floor is what an
 * answer takes on a machine under load; a call with less time than that is over before it begins, and says so.
 */
export function limitOf(ctx: UnaryContext): CallLimit {
  const timeoutMs = ctx.timeoutMs();
  return {
    deadlineMs: Date.now() + timeoutMs - answerMarginMs(timeoutMs),
    signal: ctx.signal,
    // Asked for only by who calls a peer: headers are not made for every call.
    trace: () => traceOf(ctx.requestHeader),
  };
}

function traceOf(requestHeader: Headers): Readonly<Record<string, string>> {
  const trace: Record<string, string> = {};
  for (const name of traceHeaders) {
    const value = requestHeader.get(name);
    if (value !== null) trace[name] = value;
  }
  return trace;
}
