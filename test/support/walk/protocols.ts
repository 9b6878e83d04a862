import type {
  DescMethod,
  DescMethodServerStreaming,
  DescMethodUnary,
  Message,
} from "@bufbuild/protobuf";
import { ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { explainCutCalls } from "#common/rpc/cut-call.ts";
import { detailTypes } from "#common/rpc/errors.ts";

const httpVersion = "1.1" as const;

/** The protocols of the edge, each by a library that knows nothing of ours. */
const openers = {
  gRPC: (baseUrl: string, interceptors: Interceptor[]) =>
    createGrpcTransport({ baseUrl, interceptors }),
  "gRPC-Web": (baseUrl: string, interceptors: Interceptor[]) =>
    createGrpcWebTransport({ baseUrl, httpVersion, interceptors }),
  Connect: (baseUrl: string, interceptors: Interceptor[]) =>
    createConnectTransport({ baseUrl, httpVersion, useBinaryFormat: true, interceptors }),
  JSON: (baseUrl: string, interceptors: Interceptor[]) =>
    createConnectTransport({
      baseUrl,
      httpVersion,
      useBinaryFormat: false,
      // An error within an answer, as a batch has them, is told by its type.
      jsonOptions: { registry: detailTypes },
      interceptors,
    }),
} as const;

/** A client's way to a server, in one protocol, which tells a cut call as such. */
export function openTransport(
  protocol: ProtocolName,
  baseUrl: string,
  ...interceptors: Interceptor[]
): Transport {
  return openers[protocol](baseUrl, [explainCutCalls, ...interceptors]);
}

export type ProtocolName = keyof typeof openers;
export const protocolNames = Object.keys(openers) as ProtocolName[];

/** How a call ended: with a first message, or with an error. */
export type Ending = { readonly message: object } | { readonly error: ConnectError };

/** Who answers a call whose time is over: the service that has it, or the edge long after that, or the caller's own library. */
export type Clock = "service" | "edge" | "caller";

/** Makes any call by its descriptor, in one protocol, through Envoy. A stream is left at its first message. */
export interface Caller {
  /** `timeoutMs`: the caller's deadline. */
  call(method: DescMethod, request: Message, timeoutMs: number, clock: Clock): Promise<Ending>;
  /** Opens a stream and reads it to its end. */
  hold(method: DescMethod, request: Message): Held;
}

/** A stream that is read to its end. */
export interface Held {
  /** Resolves with its first message. */
  readonly opened: Promise<void>;
  /** Resolves with why it ended. */
  readonly ended: Promise<ConnectError>;
}

/** How long after its deadline a call that nobody answers is given up, in milliseconds: it has no reason then. */
const hangMs = { service: 60_000, edge: 200_000, caller: 60_000 } as const;

/** How long a stream may be held, in milliseconds. */
const heldMs = 100_000;

export function openCaller(protocol: ProtocolName, baseUrl: string, token: string): Caller {
  const authorize: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  const transport = openTransport(protocol, baseUrl, authorize);
  const isGrpc = protocol === "gRPC" || protocol === "gRPC-Web";
  const deadline = (ms: number): [string, string] =>
    isGrpc ? ["grpc-timeout", `${ms}m`] : ["connect-timeout-ms", String(ms)];
  return {
    async call(method, request, timeoutMs, clock) {
      const left = new AbortController();
      const signal = AbortSignal.any([left.signal, AbortSignal.timeout(timeoutMs + hangMs[clock])]);
      const header = new Headers(clock === "caller" ? [] : [deadline(timeoutMs)]);
      const ownMs = clock === "caller" ? timeoutMs : undefined;
      try {
        if (isUnary(method)) {
          const answer = await transport.unary(method, signal, ownMs, header, request);
          return { message: answer.message };
        }
        const stream = streaming(method);
        const answer = await transport.stream(stream, signal, ownMs, header, once(request));
        for await (const message of answer.message) return { message };
        return { error: new ConnectError("the stream ended without a message") };
      } catch (error) {
        return { error: ConnectError.from(error) };
      } finally {
        left.abort();
      }
    },
    hold(method, request) {
      const opened = Promise.withResolvers<void>();
      const read = async () => {
        const signal = AbortSignal.timeout(heldMs);
        const stream = streaming(method);
        const answer = await transport.stream(stream, signal, undefined, {}, once(request));
        for await (const _ of answer.message) opened.resolve();
        throw new ConnectError("the stream ended without an error");
      };
      const ended = read().catch((error: unknown) => {
        opened.reject(error);
        return ConnectError.from(error);
      });
      return { opened: opened.promise, ended };
    },
  };
}

function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}

function streaming(method: DescMethod): DescMethodServerStreaming {
  if (isStreaming(method)) return method;
  throw new Error(`${method.name} is of a kind that no service of ours has`);
}

function isStreaming(method: DescMethod): method is DescMethodServerStreaming {
  return method.methodKind === "server_streaming";
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value;
}
