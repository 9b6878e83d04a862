import { randomUUID } from "node:crypto";
import { Code, type ConnectError, type ContextKey, createContextKey } from "@connectrpc/connect";
import { DomainError, type Reason } from "#common/domain-error.ts";
import { LineBudget } from "#common/process/line-budget.ts";
import type { Logger } from "#common/process/logger.ts";
import { infoOf, toConnectError } from "./errors.ts";
import type { BytesClaim } from "./limits/bytes-budget.ts";
import type { MethodPlan } from "./method-plan.ts";
import { isReason } from "./reasons.ts";
import type { MethodStats } from "./rpc-metrics.ts";
import { undecodable } from "./strict/refusal.ts";

/** Reads a request header by its lower-case name. */
export type HeaderReader = (name: string) => string | undefined;

export interface RpcCallOptions {
  readonly plan: MethodPlan;
  readonly stats: MethodStats;
  readonly header: HeaderReader;
  readonly logger: Logger;
}

/** One call, from its headers to its status: the one place that counts and logs how it ended. */
export class RpcCall {
  readonly plan: MethodPlan;
  /** The mount sets it: a stream's client takes nothing, and the stream has ended with this error. */
  onStall: ((error: ConnectError) => void) | undefined;
  /** True once the handler was called: what a library finds before is the request's fault, and nothing has happened yet. */
  reached = false;
  /** What the request's bytes have of the process's memory; the mount that reads them sets and feeds it. */
  bytes: BytesClaim | undefined;
  readonly #options: RpcCallOptions;
  readonly #startMs = performance.now();
  readonly #releases: (() => void)[] = [];
  #finished = false;
  #traceId: string | undefined;

  constructor(options: RpcCallOptions) {
    this.plan = options.plan;
    this.#options = options;
    options.stats.started += 1;
  }

  get finished(): boolean {
    return this.#finished;
  }

  /** What connects the caller's view with our log: the trace's id, the edge's request id, or one made now. */
  get traceId(): string {
    this.#traceId ??= traceIdOf(this.#options.header) ?? randomUUID();
    return this.#traceId;
  }

  /** Leaves something to the call, which gives it back at its end; at once, if that has come. */
  own(release: () => void): void {
    if (this.#finished) release();
    else this.#releases.push(release);
  }

  /** The wire form of what was thrown. Ends the call with it. */
  fail(error: unknown): ConnectError {
    const connectError = toConnectError(error, this.traceId);
    this.finish(connectError);
    return connectError;
  }

  /** Our error for a failure that a server library found itself: in decoding, by a limit, at the deadline. */
  failLibrary(code: Code, message: string, cause?: unknown): ConnectError {
    const isRequestFault = code === Code.Internal && !this.reached;
    return this.fail(
      isRequestFault
        ? undecodable(message, "", "decode", cause)
        : libraryError(this, code, message, cause),
    );
  }

  /** The caller left or its time is up. Ends the call unless the handler, which hears of it too, does so at once. */
  abandonSoon(): void {
    if (this.#finished) return;
    setImmediate(() => {
      setImmediate(() => this.fail(new DomainError("CANCELLED", "The caller gave up.")));
    });
  }

  /** Ends the call; only the first end counts. No error is success. */
  finish(error?: ConnectError): void {
    if (this.#finished) return;
    this.#finished = true;
    for (const release of this.#releases) release();
    const durationMs = performance.now() - this.#startMs;
    const info = error === undefined ? undefined : infoOf(error);
    const reason = info !== undefined && isReason(info.reason) ? info.reason : undefined;
    this.#options.stats.finish(error?.code, reason ?? "", durationMs);
    this.#log(error, { reason, intentId: info?.metadata["intentId"] }, durationMs);
  }

  #log(error: ConnectError | undefined, why: Why, durationMs: number): void {
    const { logger, plan } = this.#options;
    const level = logLevelOf(error?.code, why.reason);
    if (!logger.isLevelEnabled(level)) return;
    const line = {
      method: plan.path,
      traceId: this.traceId,
      requestId: this.#options.header("x-request-id"),
      durationMs: Math.round(durationMs),
    };
    if (error === undefined) {
      logger[level](line, "call done");
      return;
    }
    const about = { ...line, ...why, status: error.message };
    if (level === "debug") {
      logger.debug(about, "call refused");
      return;
    }
    // What is our fault is rare, and each tells something else; what an outage does to calls is one story.
    const allowed = level === "error" ? { leftOut: 0 } : outageLines.take();
    if (allowed === undefined) return;
    const { leftOut } = allowed;
    logger[level](
      { ...about, err: error.cause ?? error, ...(leftOut === 0 ? {} : { leftOut }) },
      "call failed",
    );
  }
}

/** Where a handler's context holds its call; set by the mounts. */
export const rpcCallKey: ContextKey<RpcCall | undefined> = createContextKey<RpcCall | undefined>(
  undefined,
  { description: "rpc call" },
);

/** Why a call failed, as far as its error tells. */
interface Why {
  readonly reason: Reason | undefined;
  /** Of which intent, if it is about one. */
  readonly intentId: string | undefined;
}

/** Lines of warning and information a second: enough to see what an outage does, and no more than a disk takes. */
const outageLines = new LineBudget(20, 1_000);

/**
 * Our faults are loud, outages visible; what callers do wrong is theirs to see, and Envoy logs every access. Where money
 * may have moved without an answer, or can never move, an operator who is asked about the intent finds its line.
 */
function logLevelOf(
  code: Code | undefined,
  reason: Reason | undefined,
): "error" | "warn" | "info" | "debug" {
  if (reason === "OUTCOME_UNKNOWN") return "warn";
  if (reason === "NOT_SENT" || reason === "INTENT_FAILED") return "info";
  switch (code) {
    case Code.Internal:
    case Code.Unknown:
    case Code.DataLoss:
      return "error";
    case Code.Unavailable:
      return "warn";
    default:
      return "debug";
  }
}

function traceIdOf(header: HeaderReader): string | undefined {
  const traceparent = /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(header("traceparent") ?? "");
  if (traceparent?.[1] !== undefined) return traceparent[1];
  const requestId = header("x-request-id");
  return requestId !== undefined && /^[\w.-]{1,64}$/.test(requestId) ? requestId : undefined;
}

/** The refusal of a call whose deadline passed, honest about what may have happened. */
export function deadlineError(call: RpcCall): DomainError {
  return call.plan.readsOnly || !call.reached
    ? new DomainError("NOT_SENT", "The deadline passed; nothing happened.")
    : new DomainError(
        "OUTCOME_UNKNOWN",
        "The deadline passed; repeat the same request to learn its outcome.",
      );
}

/** The refusal of a message over the method's limit. */
export function messageTooLarge(bytesMax: number): DomainError {
  return new DomainError("LIMIT_EXCEEDED", `The message is larger than ${bytesMax} bytes.`, {
    metadata: { limit: String(bytesMax), what: "bytes of a message" },
  });
}

/** The refusal of a request that does not arrive in time. Nothing of it was done. */
export function bodyTooSlow(bodyMsMax: number): DomainError {
  return new DomainError("NOT_SENT", `The request did not arrive within ${bodyMsMax} ms.`);
}

/** The refusal of a path that is no method. */
export function methodNotFound(path: string): DomainError {
  return new DomainError("METHOD_NOT_FOUND", `There is no method ${path}.`, {
    metadata: { method: path },
  });
}

/** How both libraries say that there was no message, or a second one. Both call it UNIMPLEMENTED; the method is not. */
const messageCount = /\b(?:input|request) message\b/;

/** How Connect says that the header with the caller's time is no number; its third word names the protocol. */
const badTimeout = /\binvalid (connect|grpc) timeout value\b/;

function invalidTimeout([, protocol]: readonly string[]): DomainError<"INVALID_FIELD"> {
  const isConnect = protocol === "connect";
  const field = isConnect ? "connect-timeout-ms" : "grpc-timeout";
  const form = isConnect ? "milliseconds, 1 to 10 digits" : "1 to 8 digits and one of HMSmun";
  const description = `The header ${field} is not the caller's time: ${form}.`;
  return new DomainError("INVALID_FIELD", description, {
    metadata: { field, rule: "header.timeout" },
    violations: [{ field, rule: "header.timeout", description }],
  });
}

function libraryError(call: RpcCall, code: Code, message: string, cause: unknown): DomainError {
  switch (code) {
    case Code.InvalidArgument: {
      const timeout = badTimeout.exec(message);
      if (timeout !== null) return invalidTimeout(timeout);
      return undecodable(message, "", "decode", cause);
    }
    case Code.ResourceExhausted:
      return messageTooLarge(call.plan.requestBytesMax);
    case Code.DeadlineExceeded:
      return deadlineError(call);
    case Code.Canceled:
    // What Connect says of a connection that broke while it was read.
    case Code.Aborted:
      return new DomainError("CANCELLED", "The caller gave up.");
    case Code.Unimplemented:
      if (messageCount.test(message)) return undecodable(message);
      return new DomainError("METHOD_NOT_FOUND", message, { metadata: { method: call.plan.path } });
    default:
      return new DomainError("INTERNAL", "Something went wrong on our side.", {
        cause: cause ?? new Error(message),
      });
  }
}
