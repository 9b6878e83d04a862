import type { IncomingHttpHeaders } from "node:http";
import { timerMaxMs } from "#common/deadline.ts";
import { answerMarginMs } from "./call-limit.ts";
import type { MethodPlan } from "./method-plan.ts";

/** The longest that a unary call takes, whatever its caller allows. The edge waits a little longer, so the service answers. */
export const unaryMsMax = 60_000;

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/**
 * Puts right, in the headers of a request, the time that its caller allows, before grpc-js or Connect reads it: both set
 * a timer to it, which fires at once above 24 days, and when it fires their answer is as late as the caller's own. A
 * unary call has a bound; that it answers in time is its handler's part, by `limitOf`. A stream ends a little before its
 * caller gives up, as does what is no method of ours. Malformed headers stay, for the library to refuse.
 */
export function limitCallerTimeout(
  headers: IncomingHttpHeaders,
  plan: MethodPlan | undefined,
): void {
  const isStream = plan?.method.methodKind !== "unary";
  const grpc = headers["grpc-timeout"];
  if (typeof grpc === "string") {
    const timeoutMs = grpcTimeoutMs(grpc);
    if (timeoutMs !== undefined)
      headers["grpc-timeout"] = formatGrpcTimeout(timeoutHere(timeoutMs, isStream));
  }
  const connect = headers["connect-timeout-ms"];
  if (typeof connect === "string" && /^\d{1,10}$/.test(connect))
    headers["connect-timeout-ms"] = String(timeoutHere(Number(connect), isStream));
}

/** Whole milliseconds from 0, where they are none, to what a timer can hold. */
function timeoutHere(timeoutMs: number, isStream: boolean): number {
  if (!isStream) return Math.floor(Math.min(timeoutMs, unaryMsMax));
  const heldMs = Math.min(timeoutMs, timerMaxMs);
  return Math.max(0, Math.floor(heldMs - answerMarginMs(heldMs)));
}

function grpcTimeoutMs(header: string): number | undefined {
  const [, digits, unit = ""] = /^(\d{1,8})([HMSmun])$/.exec(header) ?? [];
  const factor = unitMs[unit];
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor;
}

/** gRPC allows eight digits: milliseconds where they fit, else seconds. */
function formatGrpcTimeout(timeoutMs: number): string {
  return timeoutMs < 1e8 ? `${timeoutMs}m` : `${Math.floor(timeoutMs / 1_000)}S`;
}
