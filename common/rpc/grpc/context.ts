import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type ContextValues, type HandlerContext } from "@connectrpc/connect";
import { Metadata } from "@grpc/grpc-js";
import { deadlineReason } from "../unary-context.ts";

/** Why the signal of a finished call fires. One for all: without a reason, every abort builds a DOMException and its stack. */
const completed = new ConnectError("the call is over", Code.Canceled);

export interface GrpcContextInit {
  readonly method: DescMethod;
  readonly path: string;
  readonly metadata: Metadata;
  readonly values: ContextValues;
  /** Epoch milliseconds; Infinity for none. */
  readonly deadlineMs: number;
}

/**
 * A handler's context on the grpc-js mount. Connect has createHandlerContext for this; it builds three Headers, two
 * controllers and a timer for every call, of which most calls use one signal. grpc-js keeps the deadline's timer.
 */
export class GrpcContext implements HandlerContext {
  readonly method: DescMethod;
  readonly service: DescService;
  readonly values: ContextValues;
  readonly url: string;
  readonly requestMethod = "POST";
  readonly protocolName = "grpc";
  readonly signal: AbortSignal;
  readonly timeoutMs: () => number | undefined;
  readonly #controller = new AbortController();
  readonly #metadata: Metadata;
  readonly #deadlineMs: number;
  #requestHeader: Headers | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;

  constructor(init: GrpcContextInit) {
    this.method = init.method;
    this.service = init.method.parent;
    this.values = init.values;
    this.url = init.path;
    this.signal = this.#controller.signal;
    this.#metadata = init.metadata;
    this.#deadlineMs = init.deadlineMs;
    const { deadlineMs } = init;
    this.timeoutMs =
      deadlineMs === Number.POSITIVE_INFINITY ? () => undefined : () => deadlineMs - Date.now();
  }

  get requestHeader(): Headers {
    this.#requestHeader ??= toHeaders(this.#metadata);
    return this.#requestHeader;
  }

  get responseHeader(): Headers {
    this.#responseHeader ??= new Headers();
    return this.#responseHeader;
  }

  get responseTrailer(): Headers {
    this.#responseTrailer ??= new Headers();
    return this.#responseTrailer;
  }

  /** What the handler put into the response's headers; undefined if nothing. */
  get responseMetadata(): Metadata | undefined {
    return toMetadata(this.#responseHeader);
  }

  /** What the handler put into the response's trailers; undefined if nothing. */
  get trailerMetadata(): Metadata | undefined {
    return toMetadata(this.#responseTrailer);
  }

  /** The call was cut: its deadline passed or the caller left. grpc-js says so of every call that is over, too. */
  cancel(): void {
    if (this.signal.aborted) return;
    const late = Date.now() >= this.#deadlineMs;
    this.#controller.abort(
      late ? deadlineReason() : new ConnectError("the caller left", Code.Canceled),
    );
  }

  /** The call is over; what still listens for its end may stop. */
  complete(): void {
    this.#controller.abort(completed);
  }
}

function toHeaders(metadata: Metadata): Headers {
  const headers = new Headers();
  for (const [key, value] of Object.entries(metadata.getMap())) {
    headers.set(key, typeof value === "string" ? value : value.toString("base64"));
  }
  return headers;
}

function toMetadata(headers: Headers | undefined): Metadata | undefined {
  if (headers === undefined) return undefined;
  const metadata = new Metadata();
  headers.forEach((value, key) => {
    metadata.set(key, key.endsWith("-bin") ? Buffer.from(value, "base64") : value);
  });
  return metadata;
}
