import type { Message } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import { DomainError } from "#common/domain-error.ts";
import type { RpcCall } from "./rpc-call.ts";

export interface GuardedStreamOptions {
  readonly call: RpcCall;
  readonly signal: AbortSignal;
  /** How long the client may take nothing. */
  readonly stallMs: number;
  /** Checks the request and starts the handler. */
  open(): AsyncIterable<Message>;
  /** What an error means, given that the call may have been aborted. */
  toError(error: unknown): unknown;
}

type Result = IteratorResult<Message, undefined>;

/**
 * A handler's stream as a server reads it: errors mapped, its end counted, cut off when the call is aborted even if
 * the handler does not listen, and ended when the client takes nothing for `stallMs`. Then the handler's `yield`
 * throws SLOW_CONSUMER, which it may catch to throw one with its cursor; the mount learns of it by `onStall`,
 * because nobody asks for the next message.
 */
export class GuardedStream implements AsyncIterableIterator<Message> {
  readonly #options: GuardedStreamOptions;
  readonly #stallTimer: NodeJS.Timeout;
  #source: AsyncIterator<Message> | undefined;
  #error: ConnectError | undefined;
  #done = false;
  /** Settles the `next` that is under way. */
  #rejectPending: ((error: unknown) => void) | undefined;
  #deliveredAtMs: number | undefined;

  constructor(options: GuardedStreamOptions) {
    this.#options = options;
    this.#stallTimer = setInterval(() => this.#checkStall(), Math.max(1, options.stallMs / 10));
    this.#stallTimer.unref();
    options.signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Result> {
    this.#deliveredAtMs = undefined;
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#done) return Promise.resolve({ done: true, value: undefined });
    return new Promise<Result>((resolve, reject) => {
      this.#rejectPending = reject;
      try {
        this.#source ??= this.#options.open()[Symbol.asyncIterator]();
      } catch (error) {
        reject(this.#fail(error));
        return;
      }
      if (this.#options.signal.aborted) this.#onAbort();
      this.#source.next().then(
        (result) => {
          // An end that comes of the abort is none of the handler's own.
          if (result.done === true && this.#options.signal.aborted)
            reject(this.#fail(this.#options.signal.reason));
          else this.#deliver(result, resolve);
        },
        (error: unknown) => reject(this.#fail(error)),
      );
    });
  }

  /** The server stops reading: the client has left. */
  return(): Promise<Result> {
    if (!this.#done) {
      const error = this.#fail(new DomainError("CANCELLED", "The caller gave up."));
      this.#rejectPending?.(error);
    }
    this.#error = undefined;
    return Promise.resolve({ done: true, value: undefined });
  }

  /** The server could not write. */
  throw(_error?: unknown): Promise<Result> {
    return this.return();
  }

  #deliver(result: IteratorResult<Message>, resolve: (result: Result) => void): void {
    this.#rejectPending = undefined;
    if (this.#done) return; // Too late: the stream ended while the handler worked.
    if (result.done === true) {
      this.#end();
      this.#options.call.finish();
      resolve({ done: true, value: undefined });
      return;
    }
    this.#deliveredAtMs = performance.now();
    resolve({ done: false, value: result.value });
  }

  /** Ends the stream with an error, once, and lets the handler's `finally` run. */
  #fail(error: unknown): ConnectError {
    if (this.#error !== undefined) return this.#error;
    const mapped = this.#options.call.fail(this.#options.toError(error));
    this.#error = mapped;
    this.#end();
    return mapped;
  }

  #end(): void {
    this.#done = true;
    clearInterval(this.#stallTimer);
    this.#options.signal.removeEventListener("abort", this.#onAbort);
    // Not awaited: a handler that is busy returns when it is done, and nobody waits for it any more.
    this.#source?.return?.().catch(() => undefined);
  }

  readonly #onAbort = (): void => {
    // After the handler's own listeners, so that one which answers the abort itself is heard.
    setImmediate(() => {
      if (this.#done) return;
      const error = this.#fail(this.#options.signal.reason);
      this.#rejectPending?.(error);
    });
  };

  #checkStall(): void {
    if (this.#done || this.#deliveredAtMs === undefined) return;
    if (performance.now() - this.#deliveredAtMs < this.#options.stallMs) return;
    this.#deliveredAtMs = undefined;
    const stall = new DomainError(
      "SLOW_CONSUMER",
      "The client took nothing for too long; resume from the last cursor.",
    );
    const thrown = this.#source?.throw?.(stall) ?? Promise.reject(stall);
    // A handler that swallows the error and goes on, or ends, is stopped all the same.
    thrown.then(
      () => this.#stalled(stall),
      (error: unknown) => this.#stalled(error),
    );
  }

  #stalled(error: unknown): void {
    if (this.#done) return;
    const mapped = this.#fail(error);
    this.#options.call.onStall?.(mapped);
  }
}
