import type { DescService } from "@bufbuild/protobuf";
import { type CallOptions, type Client, createClient } from "@connectrpc/connect";
import { Client as GrpcClient } from "@grpc/grpc-js";
import type { CallLimit } from "#common/deadline.ts";
import { channelCredentials, type PeerSecurity } from "./grpc/channel-security.ts";
import { createGrpcTransport } from "./grpc/transport.ts";
import { requestBytesMaxLargest } from "./method-plan.ts";
import { isRepeatable } from "./retry/as-told.ts";

export interface RpcClientOptions {
  /** The peer as `host:port`, or a gRPC target such as `dns:///ledger:5100`. */
  readonly address: string;
  /** Mutual TLS with the peer; without it everything goes in the clear. */
  readonly security?: PeerSecurity | undefined;
  /** Gives the token for each call; it must cache. Without it calls carry no credentials. */
  readonly token?: () => Promise<string>;
  /** The deadline of unary calls that name none, in milliseconds. Streams have none unless the call names one. */
  readonly defaultTimeoutMs: number;
  /**
   * What is repeated for a caller. "few": a few attempts within a second while the peer is UNAVAILABLE, as between services,
   * where the caller above repeats too. "as told": what the contract lets one repeat, until the deadline (retry/as-told.ts).
   * Default: few.
   */
  readonly retries?: "few" | "as told";
}

/**
 * A client that closes its connections when disposed of. Its calls reject with ConnectError, details included; a peer
 * that does not answer, or whose connection was cut, is UNAVAILABLE with EDGE_UNAVAILABLE.
 */
export type RpcClient<Service extends DescService> = Client<Service> & Disposable;

/**
 * A typed client over grpc-js. Unary calls always have a deadline; those that are safe to repeat are, as `retries` says:
 * mostly up to four times while the peer is UNAVAILABLE. Streams are async iterables that hold the server back when the reader
 * is slow; leaving the loop cancels the call.
 */
export function createRpcClient<Service extends DescService>(
  service: Service,
  options: RpcClientOptions,
): RpcClient<Service> {
  const unary = openChannel(options, {
    "grpc.service_config": JSON.stringify(serviceConfig(service, options.retries ?? "few")),
    // Names are the peers' own; nothing in DNS may change how we retry.
    "grpc.service_config_disable_resolution": 1,
  });
  // With retries on, grpc-js keeps what a call sent and received for a replay; on a stream that only grows.
  const streams = openChannel(options, { "grpc.enable_retries": 0 });
  const client = createClient(service, createGrpcTransport({ unary, streams, ...options }));
  return Object.assign(client, streamsOf(service, client), {
    [Symbol.dispose]() {
      unary.close();
      streams.close();
    },
  });
}

type StreamCall = (input: unknown, options?: CallOptions) => AsyncIterable<unknown>;

/** Connect's clients leave a call open when its loop is left; ours end it. And a call starts with its loop, not before. */
function streamsOf(service: DescService, client: object): Record<string, StreamCall> {
  const streams: Record<string, StreamCall> = {};
  for (const { methodKind, localName } of service.methods) {
    if (methodKind !== "server_streaming") continue;
    const call: StreamCall = Reflect.get(client, localName);
    streams[localName] = (input, options) => readAndLeave(call, input, options);
  }
  return streams;
}

async function* readAndLeave(
  call: StreamCall,
  input: unknown,
  options: CallOptions = {},
): AsyncGenerator<unknown> {
  const left = new AbortController();
  const signal =
    options.signal === undefined ? left.signal : AbortSignal.any([options.signal, left.signal]);
  try {
    yield* call(input, { ...options, signal });
  } finally {
    left.abort();
  }
}

function openChannel(
  { address, security }: RpcClientOptions,
  more: Record<string, string | number>,
): GrpcClient {
  return new GrpcClient(address, channelCredentials(security), {
    // Sent in the handshake, where an address has no place.
    ...(security === undefined ? {} : { "grpc.ssl_target_name_override": security.peer }),
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_timeout_ms": 20_000,
    // A results list of a full batch, with room.
    "grpc.max_receive_message_length": 2 * requestBytesMaxLargest,
    // A peer that restarts is back within a second or two, and is found half a second later; the default waits up to two
    // minutes.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 500,
    "grpc.enable_channelz": 0,
    ...more,
  });
}

/** Retries for what may be repeated: reads, and writes with an id that the client made. */
function serviceConfig(service: DescService, retries: "few" | "as told") {
  const repeatable = service.methods.filter(
    (method) => retries === "few" && method.methodKind === "unary" && isRepeatable(method),
  );
  const names = repeatable.map((method) => ({ service: service.typeName, method: method.name }));
  return {
    // Every replica gets its share; with a single address it is the same as pick_first.
    loadBalancingConfig: [{ round_robin: {} }],
    methodConfig: names.length === 0 ? [] : [{ name: names, retryPolicy }],
    // When more than a few calls in ten fail, retries stop: they would only add to the load.
    retryThrottling: { maxTokens: 10, tokenRatio: 0.1 },
  };
}

const retryPolicy = {
  maxAttempts: 4,
  initialBackoff: "0.1s",
  maxBackoff: "1s",
  backoffMultiplier: 2,
  retryableStatusCodes: ["UNAVAILABLE"],
};

/**
 * Options for a call that is made for another: it ends at that one's limit, which leaves its answer the time to go back,
 * stops when its caller leaves, and shares its trace. The caller's credentials stay behind: a peer is called with ours.
 */
export function callWithin({ deadlineMs, signal, trace }: CallLimit): CallOptions {
  return {
    // Connect's clients take 0 and less for no deadline at all.
    timeoutMs: Math.max(1, deadlineMs - Date.now()),
    ...(signal === undefined ? {} : { signal }),
    ...(trace === undefined ? {} : { headers: trace() }),
  };
}
