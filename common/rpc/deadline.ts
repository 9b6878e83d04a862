import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";

/** A context with a deadline of ours. `clear` must be called when the call is over. */
export interface TimedContext {
  readonly ctx: HandlerContext;
  clear(): void;
}

/** Gives a call that has no deadline one. */
export function withTimeout(ctx: HandlerContext, timeoutMs: number): TimedContext {
  const deadlineMs = Date.now() + timeoutMs;
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(deadlineReason()), timeoutMs);
  const forward = () => controller.abort(ctx.signal.reason);
  if (ctx.signal.aborted) forward();
  else ctx.signal.addEventListener("abort", forward, { once: true });
  return {
    ctx: { ...ctx, signal: controller.signal, timeoutMs: () => deadlineMs - Date.now() },
    clear() {
      clearTimeout(timer);
      ctx.signal.removeEventListener("abort", forward);
    },
  };
}

/** Why a signal fires when the deadline passes; the same reason that connect gives. */
export function deadlineReason(): ConnectError {
  return new ConnectError("the operation timed out", Code.DeadlineExceeded);
}

/**
 * Waits for the handler, but not beyond the abort of its call. A handler that answers the abort itself wins: it may
 * know more than we do, such as whether a write was sent.
 */
export function raceAbort<T>(work: Promise<T> | T, signal: AbortSignal): Promise<T> {
  if (!(work instanceof Promise)) return Promise.resolve(work);
  return new Promise<T>((resolve, reject) => {
    const abort = () => {
      setImmediate(() => reject(signal.reason));
    };
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
    work.then(
      (value) => {
        signal.removeEventListener("abort", abort);
        resolve(value);
      },
      (error: unknown) => {
        signal.removeEventListener("abort", abort);
        reject(error);
      },
    );
  });
}
