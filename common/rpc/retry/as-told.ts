import { type DescMethod, getOption } from "@bufbuild/protobuf";
import { durationMs, MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectError, type Interceptor } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { ErrorReasonSchema } from "#gen/sovr/common/v1/error_reason_pb.ts";
import { error_rule as errorRule, RetryRule } from "#gen/sovr/common/v1/error_rule_pb.ts";
import { cutCallError } from "../cut-call.ts";

// In a browser too: nothing here may import what only Node has.

/** How long a call is repeated that names no deadline, in milliseconds. */
const limitMsDefault = 30_000;
const firstMs = 100;
const lastMs = 2_000;
/** Who came at once must not come back at once. */
const jitter = 0.2;
/** A fault of ours may pass, or be met each time. */
const faultsMax = 3;

/** Reasons of which the contract says that the same request may be sent again, now or later. */
const repeatable: ReadonlySet<string> = new Set(
  ErrorReasonSchema.values
    .filter((value) =>
      [RetryRule.LATER, RetryRule.SAME_REQUEST].some(
        (rule) => rule === getOption(value, errorRule).retry,
      ),
    )
    .map(({ localName }) => localName)
    // Whoever gave up wants no answer any more.
    .filter((reason) => reason !== "CANCELLED"),
);

/**
 * Lets a client do what the contract says of an error: a unary call that fails for a reason whose `error_rule` allows it is
 * sent again as it is, with the same intent id, after the delay of its RetryInfo and until its own deadline is too
 * near; without one for half a minute. Then its last error is thrown. Of methods whose proto says that they may be
 * repeated, and of no others. Put it first, so that each attempt passes the other interceptors.
 */
export const retryAsTold: Interceptor = (next) => async (request) => {
  if (request.stream || !isRepeatable(request.method)) return next(request);
  const { header, signal } = request;
  const timeoutMs = readTimeoutMs(header);
  return repeatUntil({ limitMs: timeoutMs ?? limitMsDefault, signal }, (leftMs) => {
    if (timeoutMs !== undefined) writeTimeoutMs(header, leftMs);
    return next(request);
  });
};

export interface RepeatLimit {
  /** From now, in milliseconds. */
  readonly limitMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Does an attempt over and over until one succeeds, fails for good, or the limit is too near for another. An attempt is
 * told how many milliseconds are left. Rejects with the error of the last one.
 */
export async function repeatUntil<Result>(
  { limitMs, signal }: RepeatLimit,
  attempt: (leftMs: number) => Promise<Result>,
): Promise<Result> {
  const endMs = performance.now() + limitMs;
  for (let failures = 1; ; failures += 1) {
    try {
      return await attempt(Math.max(1, Math.floor(endMs - performance.now())));
    } catch (error) {
      if (signal?.aborted === true) throw error;
      const waitMs = waitBefore(cutCallError(error), failures);
      if (waitMs === undefined || performance.now() + waitMs >= endMs) throw error;
      if (!(await pause(waitMs, signal))) throw error;
    }
  }
}

/** True for reads, and for writes with an id that the client made. */
export function isRepeatable({ idempotency }: DescMethod): boolean {
  return idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN;
}

/** How long to wait before the same request is sent again, in milliseconds; undefined if it must not be. */
function waitBefore(error: ConnectError, failures: number): number | undefined {
  const reason = error.findDetails(ErrorInfoSchema)[0]?.reason ?? "";
  if (!repeatable.has(reason)) return undefined;
  if (error.code === Code.Internal && failures >= faultsMax) return undefined;
  const told = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  const ownMs = Math.min(firstMs * 2 ** (failures - 1), lastMs);
  const waitMs = Math.max(ownMs, told === undefined ? 0 : durationMs(told));
  return waitMs * (1 + jitter * Math.random());
}

/** Resolves with false, and at once, when the caller leaves. */
function pause(waitMs: number, signal: AbortSignal | undefined): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (isOver: boolean) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", leave);
      resolve(isOver);
    };
    const leave = () => end(false);
    const timer = setTimeout(() => end(true), waitMs);
    signal?.addEventListener("abort", leave, { once: true });
  });
}

const connectTimeout = "connect-timeout-ms";
const grpcTimeout = "grpc-timeout";

/** The deadline that Connect's client has written: of Connect, or of gRPC-Web, always in milliseconds. */
function readTimeoutMs(header: Headers): number | undefined {
  const text = header.get(connectTimeout) ?? header.get(grpcTimeout)?.replace(/m$/, "");
  return text !== undefined && /^[0-9]+$/.test(text) ? Number(text) : undefined;
}

function writeTimeoutMs(header: Headers, timeoutMs: number): void {
  if (header.has(connectTimeout)) header.set(connectTimeout, String(timeoutMs));
  else header.set(grpcTimeout, `${timeoutMs}m`);
}
