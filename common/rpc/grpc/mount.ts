import { create, type DescMessage, isMessage, type Message } from "@bufbuild/protobuf";
import type { ConnectError, HandlerContext } from "@connectrpc/connect";
import {
  type MethodDefinition,
  Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Guard, GuardedService } from "../guard.ts";
import { resetLimits } from "../limits/http2-options.ts";
import type { MethodPlan } from "../method-plan.ts";
import type { OpenStreams } from "../open-streams.ts";
import { messageTooLarge } from "../rpc-call.ts";
import { encodeMessage } from "../shared-message.ts";
import { readBinary } from "../strict/read-request.ts";
import { limitCallerTimeouts } from "./caller-timeouts.ts";
import { GrpcContext } from "./context.ts";
import { createGrpcGate, type GatedCall, type GrpcGate } from "./gate.ts";
import { grpcServerOptions } from "./server-options.ts";
import { toGrpcStatus } from "./status.ts";

/** How long the status of a stream that its client does not read may wait before the HTTP/2 stream is reset. */
const stalledResetMs = 5_000;

export interface GrpcMountOptions {
  readonly streamAgeMsMax: number;
}

/** A grpc-js server with the guarded services. It does not listen yet. */
export interface GrpcMount {
  readonly server: Server;
  /** Ends the calls that no guard watches, health watches and reflection streams, with DRAINING. */
  endUnguarded(): void;
  /** Ends all calls with DRAINING. */
  endAll(): void;
}

export function createGrpcMount(
  guard: Guard,
  streams: OpenStreams,
  options: GrpcMountOptions,
): GrpcMount {
  const gate = createGrpcGate(guard, streams);
  const server = new Server({
    ...grpcServerOptions(options.streamAgeMsMax),
    interceptors: [gate.interceptor],
  });
  allowResets(server);
  gate.answerUnknownPaths(server);
  limitCallerTimeouts(server, guard);
  for (const service of guard.services) {
    server.addService(serviceDefinition(service), serviceHandlers(service, gate));
  }
  return { server, endUnguarded: gate.endUnguarded, endAll: gate.endAll };
}

/**
 * grpc-js has no option for what it hands to Node, so it is added to what it will hand. Were that renamed, a client who
 * resets many streams at once would end those of others again, and the test of rapid resets fail.
 */
function allowResets(server: Server): void {
  const options: unknown = Reflect.get(server, "commonServerOptions");
  if (typeof options === "object" && options !== null) Object.assign(options, resetLimits);
}

// Bytes pass through grpc-js as they are. Decoding is ours: it comes after access, and its errors get our details.
const passBytes = (bytes: Buffer): Buffer => bytes;

function serviceDefinition(service: GuardedService): ServiceDefinition {
  const definition: Record<string, MethodDefinition<Buffer, Buffer>> = {};
  for (const { method, path } of service.plans) {
    definition[method.localName] = {
      path,
      requestStream: false,
      responseStream: method.methodKind === "server_streaming",
      requestSerialize: passBytes,
      requestDeserialize: passBytes,
      responseSerialize: passBytes,
      responseDeserialize: passBytes,
    };
  }
  return definition;
}

function serviceHandlers(service: GuardedService, gate: GrpcGate): UntypedServiceImplementation {
  const handlers: UntypedServiceImplementation = {};
  for (const plan of service.plans) {
    handlers[plan.method.localName] =
      plan.method.methodKind === "server_streaming"
        ? streamHandler(plan, service, gate)
        : unaryHandler(plan, unaryAnswer(plan, service), gate);
  }
  return handlers;
}

type GuardedUnaryHandler = (request: Message, ctx: HandlerContext) => Promise<Message>;
type GuardedStreamHandler = (
  request: Message,
  ctx: HandlerContext,
) => AsyncIterableIterator<Message>;

/** Answers a unary call, bytes for bytes. */
type UnaryAnswer = (bytes: Buffer, ctx: GrpcContext, gated: GatedCall) => Promise<Buffer>;

function unaryAnswer(plan: MethodPlan, service: GuardedService): UnaryAnswer {
  const batch = service.batches[plan.method.localName];
  if (batch !== undefined) {
    return async (bytes, ctx, gated) => {
      checkSize(plan, gated, bytes);
      return batch(bytes, ctx);
    };
  }
  const handler = implementationOf(plan, service) as GuardedUnaryHandler;
  return async (bytes, ctx, gated) => {
    const request = decode(plan, gated, bytes);
    const response = await handler(request, ctx);
    return encode(plan.method.output, gated, response);
  };
}

function implementationOf({ method }: MethodPlan, { implementation }: GuardedService): unknown {
  return implementation[method.localName];
}

function unaryHandler(plan: MethodPlan, answer: UnaryAnswer, gate: GrpcGate) {
  return (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>): void => {
    const gated = gate.take(call.metadata);
    const ctx = contextOf(plan, gated, call);
    call.on("cancelled", () => ctx.cancel());
    answer(call.request, ctx, gated)
      .then(
        (bytes) => {
          const header = ctx.responseMetadata;
          if (header !== undefined) call.sendMetadata(header);
          callback(null, bytes, ctx.trailerMetadata);
        },
        (error: ConnectError) => callback(toGrpcStatus(error)),
      )
      .finally(() => ctx.complete());
  };
}

function contextOf(
  plan: MethodPlan,
  gated: GatedCall,
  call: ServerUnaryCall<Buffer, Buffer> | ServerWritableStream<Buffer, Buffer>,
): GrpcContext {
  return new GrpcContext({
    method: plan.method,
    path: plan.path,
    metadata: call.metadata,
    values: gated.values,
    deadlineMs: Number(call.getDeadline()),
  });
}

function checkSize(plan: MethodPlan, gated: GatedCall, bytes: Buffer): void {
  if (bytes.byteLength <= plan.requestBytesMax) return;
  throw gated.call.fail(messageTooLarge(plan.requestBytesMax));
}

function decode(plan: MethodPlan, gated: GatedCall, bytes: Buffer): Message {
  checkSize(plan, gated, bytes);
  try {
    return readBinary(plan.method.input, bytes);
  } catch (error) {
    throw gated.call.fail(error);
  }
}

function encode(output: DescMessage, gated: GatedCall, response: Message): Buffer {
  try {
    return encodeMessage(output, isMessage(response, output) ? response : create(output, response));
  } catch (error) {
    throw gated.call.fail(error);
  }
}

function streamHandler(plan: MethodPlan, service: GuardedService, gate: GrpcGate) {
  const handler = implementationOf(plan, service) as GuardedStreamHandler;
  return (call: ServerWritableStream<Buffer, Buffer>): void => {
    const gated = gate.take(call.metadata);
    const ctx = contextOf(plan, gated, call);
    call.on("cancelled", () => ctx.cancel());
    gated.call.onStall = (error) => {
      fail(call, error);
      const timer = setTimeout(() => gated.reset(), stalledResetMs);
      call.once("close", () => clearTimeout(timer));
    };
    pump(plan, handler, gated, ctx, call)
      .catch((error: ConnectError) => fail(call, error))
      .finally(() => ctx.complete());
  };
}

/** Ends a stream with an error. `destroy(error)`, which looks right, leaves the client hanging until its deadline. */
function fail(call: ServerWritableStream<Buffer, Buffer>, error: ConnectError): void {
  if (!call.cancelled && !call.writableEnded) call.emit("error", toGrpcStatus(error));
}

async function pump(
  plan: MethodPlan,
  handler: GuardedStreamHandler,
  gated: GatedCall,
  ctx: GrpcContext,
  call: ServerWritableStream<Buffer, Buffer>,
): Promise<void> {
  const request = decode(plan, gated, call.request);
  const messages = handler(request, ctx);
  for (;;) {
    const result = await messages.next();
    if (call.cancelled || call.writableEnded) break;
    if (result.done === true) {
      call.end(ctx.trailerMetadata);
      return;
    }
    if (!call.write(encode(plan.method.output, gated, result.value))) await writable(call);
    if (call.cancelled) break;
  }
  await messages.return?.();
}

/** Waits until the stream takes more, or is closed: after a cancellation no `drain` ever comes. */
function writable(call: ServerWritableStream<Buffer, Buffer>): Promise<void> {
  if (call.destroyed || !call.writableNeedDrain) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      call.off("drain", done);
      call.off("close", done);
      resolve();
    };
    call.on("drain", done);
    call.on("close", done);
  });
}
