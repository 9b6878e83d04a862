import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type ContextValues, type HandlerContext } from "@connectrpc/connect";
import { waitMsUntil } from "#common/deadline.ts";

/** The context of a unary call, which has a deadline always: its caller's, or the one that the runtime gives it. */
export interface UnaryContext extends HandlerContext {
  /** Milliseconds that are left; none are when it is not above 0. */
  readonly timeoutMs: () => number;
}

/** A context with a deadline. `clear` must be called when the call is over. */
export interface TimedCall {
  readonly ctx: UnaryContext;
  clear(): void;
}

/** Gives a call that has no deadline one of `timeoutMs` milliseconds from now. */
export function withDeadline(ctx: HandlerContext, timeoutMs: number): TimedCall {
  if (hasDeadline(ctx)) return { ctx, clear: nothing };
  const deadlineMs = Date.now() + timeoutMs;
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(deadlineReason()), waitMsUntil(deadlineMs));
  const forward = () => controller.abort(ctx.signal.reason);
  if (ctx.signal.aborted) forward();
  else ctx.signal.addEventListener("abort", forward, { once: true });
  return {
    ctx: new ContextInTime(ctx, controller.signal, deadlineMs),
    clear() {
      clearTimeout(timer);
      ctx.signal.removeEventListener("abort", forward);
    },
  };
}

function hasDeadline(ctx: HandlerContext): ctx is UnaryContext {
  return ctx.timeoutMs() !== undefined;
}

const nothing = (): void => undefined;

/** Why a signal fires when the deadline passes; the same reason that connect gives. */
export function deadlineReason(): ConnectError {
  return new ConnectError("the operation timed out", Code.DeadlineExceeded);
}

/**
 * A context with a signal and a deadline of its own, and all else of the other. It asks the other each time: headers
 * are made when they are first asked for, which a copy would lose and a prototype could not reach.
 */
class ContextInTime implements UnaryContext {
  readonly signal: AbortSignal;
  readonly timeoutMs: () => number;
  readonly #outer: HandlerContext;

  constructor(outer: HandlerContext, signal: AbortSignal, deadlineMs: number) {
    this.#outer = outer;
    this.signal = signal;
    this.timeoutMs = () => deadlineMs - Date.now();
  }

  get method(): DescMethod {
    return this.#outer.method;
  }

  get service(): DescService {
    return this.#outer.service;
  }

  get requestMethod(): string {
    return this.#outer.requestMethod;
  }

  get requestHeader(): Headers {
    return this.#outer.requestHeader;
  }

  get responseHeader(): Headers {
    return this.#outer.responseHeader;
  }

  get responseTrailer(): Headers {
    return this.#outer.responseTrailer;
  }

  get protocolName(): string {
    return this.#outer.protocolName;
  }

  get values(): ContextValues {
    return this.#outer.values;
  }

  get url(): string {
    return this.#outer.url;
  }
}
