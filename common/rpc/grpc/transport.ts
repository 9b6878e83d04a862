import {
  create,
  type DescMessage,
  type DescMethodStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type StreamResponse,
  type Transport,
  type UnaryResponse,
} from "@connectrpc/connect";
import {
  type ClientReadableStream,
  type CallOptions as GrpcCallOptions,
  type Client as GrpcClient,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { cutCallError } from "../cut-call.ts";
import { isRepeatable, repeatUntil } from "../retry/as-told.ts";
import { fromServiceError } from "./status.ts";

export interface GrpcTransportOptions {
  /** The channel of unary calls. */
  readonly unary: GrpcClient;
  /** The channel of streams. */
  readonly streams: GrpcClient;
  readonly token?: () => Promise<string>;
  readonly defaultTimeoutMs: number;
  readonly retries?: "few" | "as told";
}

/** Connect's typed clients over a grpc-js channel: the types and errors of the one, the speed and retries of the other. */
export function createGrpcTransport(options: GrpcTransportOptions): Transport {
  return {
    unary: (method, signal, timeoutMs = options.defaultTimeoutMs, header, input) => {
      const call = (leftMs: number) =>
        callUnary(options, method, { signal, timeoutMs: leftMs, header }, input);
      return options.retries === "as told" && isRepeatable(method)
        ? repeatUntil({ limitMs: timeoutMs, signal }, call)
        : call(timeoutMs);
    },
    stream: (method, signal, timeoutMs, header, input) =>
      callStream(options, method, { signal, timeoutMs, header }, input),
  };
}

interface CallInit {
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  readonly header: HeadersInit | undefined;
}

type HeadersInit = ConstructorParameters<typeof Headers>[0];

async function metadataFor(options: GrpcTransportOptions, header: HeadersInit): Promise<Metadata> {
  const metadata = new Metadata();
  new Headers(header).forEach((value, key) => {
    metadata.set(key, value);
  });
  if (options.token !== undefined) metadata.set("authorization", `Bearer ${await options.token()}`);
  return metadata;
}

function callOptions(timeoutMs: number | undefined): GrpcCallOptions {
  return timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
}

async function callUnary<I extends DescMessage, O extends DescMessage>(
  options: GrpcTransportOptions,
  method: DescMethodUnary<I, O>,
  init: CallInit,
  input: MessageInitShape<I>,
): Promise<UnaryResponse<I, O>> {
  const metadata = await metadataFor(options, init.header);
  throwIfAborted(init.signal);
  const header = new Headers();
  const trailer = new Headers();
  const message = await new Promise<MessageShape<O>>((resolve, reject) => {
    const call = options.unary.makeUnaryRequest(
      pathOf(method),
      (request: MessageInitShape<I>) => encode(method.input, request),
      (bytes: Buffer) => fromBinary(method.output, bytes),
      input,
      metadata,
      callOptions(init.timeoutMs),
      (error: ServiceError | null, value?: MessageShape<O>) => {
        init.signal?.removeEventListener("abort", cancel);
        if (error !== null) reject(cutCallError(fromServiceError(error)));
        else if (value === undefined) reject(new ConnectError("no response", Code.Internal));
        else resolve(value);
      },
    );
    const cancel = () => call.cancel();
    init.signal?.addEventListener("abort", cancel, { once: true });
    call.on("metadata", (received) => copy(received, header));
    call.on("status", (status) => copy(status.metadata, trailer));
  });
  return { stream: false, service: method.parent, method, header, trailer, message };
}

async function callStream<I extends DescMessage, O extends DescMessage>(
  options: GrpcTransportOptions,
  method: DescMethodStreaming<I, O>,
  init: CallInit,
  input: AsyncIterable<MessageInitShape<I>>,
): Promise<StreamResponse<I, O>> {
  if (method.methodKind !== "server_streaming") {
    throw new ConnectError(`${method.name} streams requests: not supported`, Code.Unimplemented);
  }
  const metadata = await metadataFor(options, init.header);
  const request = await onlyMessage(input);
  throwIfAborted(init.signal);
  const header = new Headers();
  const trailer = new Headers();
  const call = options.streams.makeServerStreamRequest(
    pathOf(method),
    (message: MessageInitShape<I>) => encode(method.input, message),
    (bytes: Buffer) => fromBinary(method.output, bytes),
    request,
    metadata,
    callOptions(init.timeoutMs),
  );
  call.on("metadata", (received) => copy(received, header));
  call.on("status", (status) => copy(status.metadata, trailer));
  const message = readStream(call, init.signal);
  return { stream: true, service: method.parent, method, header, trailer, message };
}

/**
 * The messages of a call. grpc-js takes messages off the wire only as the loop asks for them, so a slow reader holds
 * the server back; leaving the loop early cancels the call.
 */
async function* readStream<Output>(
  call: ClientReadableStream<Output>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Output> {
  const cancel = () => call.cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  // The iteration reports the error; without a listener of its own, one that comes before it would end the process.
  call.on("error", () => undefined);
  try {
    yield* call as AsyncIterable<Output>;
  } catch (error) {
    throw cutCallError(isServiceError(error) ? fromServiceError(error) : error);
  } finally {
    signal?.removeEventListener("abort", cancel);
    call.cancel();
  }
}

function isServiceError(error: unknown): error is ServiceError {
  return (
    error instanceof Error &&
    "code" in error &&
    typeof error.code === "number" &&
    "metadata" in error
  );
}

async function onlyMessage<Message>(input: AsyncIterable<Message>): Promise<Message> {
  for await (const message of input) return message;
  throw new ConnectError("a server-streaming call needs one request", Code.Internal);
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new ConnectError("the call was aborted", Code.Canceled);
}

function pathOf(method: {
  readonly name: string;
  readonly parent: { readonly typeName: string };
}): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function encode<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): Buffer {
  const bytes = toBinary(schema, create(schema, message));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function copy(metadata: Metadata, headers: Headers): void {
  for (const [key, value] of Object.entries(metadata.getMap())) {
    headers.set(key, typeof value === "string" ? value : value.toString("base64"));
  }
}
