import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { create, type DescMethod, type Message } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextKey,
  type ContextValues,
  createConnectRouter,
  createContextKey,
  createContextValues,
  type HandlerContext,
  type MethodImpl,
} from "@connectrpc/connect";
import type {
  UniversalHandler,
  UniversalServerRequest,
  UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import {
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import { DomainError } from "#common/domain-error.ts";
import type { Logger } from "#common/process/logger.ts";
import { limitCallerTimeout } from "../caller-timeout.ts";
import { detailTypes, reasonOf, toConnectError } from "../errors.ts";
import { callOf, type Guard, type GuardedBatch, type GuardedService } from "../guard.ts";
import { bodyMsMax } from "../limits/admission.ts";
import { type MethodPlan, requestBytesMaxLargest } from "../method-plan.ts";
import type { OpenStreams } from "../open-streams.ts";
import { bodyTooSlow, methodNotFound, type RpcCall, rpcCallKey } from "../rpc-call.ts";
import { jsonHere } from "../strict/batch-json.ts";
import { undecodable } from "../strict/refusal.ts";
import { batchAnswerKey, batchRequestKey, cameWithKey, passBatch } from "./batch-body.ts";
import { answerText, isGrpcWebText } from "./grpc-web-text.ts";
import { rawJson, rawMethod, readRaw } from "./raw-request.ts";
import { unknownMethodHandlers } from "./unknown-methods.ts";

/** How long a stream that its client does not read may linger after it has ended. */
const stalledCloseMs = 5_000;

/** Below this a response is sent as it is: compressing costs more than it saves. */
const compressBytesMin = 4_096;

const responseKey: ContextKey<ServerResponse | undefined> = createContextKey<
  ServerResponse | undefined
>(undefined, { description: "http response" });

/**
 * The guarded services for browsers and curl: Connect (binary, JSON, GET) and gRPC-Web, over HTTP/1.1 and HTTP/2. Plain
 * gRPC is not among them; it has its own port.
 */
export function createConnectMount(
  guard: Guard,
  streams: OpenStreams,
  logger: Logger,
): RequestListener {
  const handlers = guardedHandlers(guard);
  const unknown = unknownMethodHandlers();
  return (request, response) => {
    // A connection that stays open would bring new calls to a process that is leaving.
    if (guard.draining) response.shouldKeepAlive = false;
    const path = request.url?.split("?", 1)[0] ?? "";
    const plan = guard.planOf(path);
    limitCallerTimeout(request.headers, plan);
    if (plan !== undefined && plan.method.methodKind !== "unary") {
      response.once(
        "close",
        streams.opened(() => response.destroy()),
      );
    }
    const handler = handlers.get(path) ?? unknown(request);
    const values = createContextValues().set(responseKey, response);
    answer(handler, request, response, values).catch((error: unknown) => {
      // A client that left in the middle of a response; the call itself is counted and logged where it ended.
      logger.debug({ path, err: error }, "response not written");
      response.destroy();
    });
  };
}

async function answer(
  handler: Answer,
  request: IncomingMessage,
  response: ServerResponse,
  values: ContextValues,
): Promise<void> {
  response.once("finish", () => discardRest(request));
  const universal = universalRequestFromNodeRequest(request, response, undefined, values);
  // By itself a request that is not read to its end cuts its connection, and with it the answer that says why.
  const chunks = request.iterator({ destroyOnReturn: false });
  const whole = { ...universal, body: arriving(chunks, values) };
  const isText = isGrpcWebText(request.headers["content-type"]);
  const result = await (isText ? answerText(whole, handler) : handler(whole));
  await universalResponseToNodeResponse(result, response);
}

/** A request's body as it comes: counted, and not for longer than its method gives it. */
async function* arriving(
  chunks: AsyncIterator<Buffer>,
  values: ContextValues,
): AsyncGenerator<Uint8Array> {
  // The gate has begun the call before anybody asks for the body.
  const call = values.get(rpcCallKey);
  const msMax = call === undefined ? 0 : bodyMsMax(call.plan);
  const late = Promise.withResolvers<never>();
  late.promise.catch(() => undefined);
  const timer = setTimeout(() => late.reject(bodyTooSlow(msMax)), msMax);
  try {
    for (;;) {
      const { value, done } = await Promise.race([chunks.next(), late.promise]);
      if (done === true) return;
      call?.bytes?.arrive(value.byteLength);
      yield value;
    }
  } catch (error) {
    throw error instanceof DomainError && call !== undefined ? call.fail(error) : error;
  } finally {
    clearTimeout(timer);
    // Not awaited: it waits for a chunk that may never come. Until then nobody else can take the rest off the wire.
    chunks.return?.()?.catch(() => undefined);
  }
}

/** Takes the rest of a refused request off the wire, so that the client gets around to reading the answer. */
function discardRest(request: IncomingMessage): void {
  if (request.complete) return;
  let bytesLeft = requestBytesMaxLargest;
  request.on("data", (chunk: Buffer) => {
    bytesLeft -= chunk.byteLength;
    if (bytesLeft < 0) request.destroy();
  });
  request.resume();
}

/**
 * Connect's types do not know its `textDecoder`. Did it not take it any more, it would find keys in requests that it does
 * not know, refuse them all, and the conformance test fail.
 */
const jsonOptions = { registry: detailTypes, textDecoder: rawJson, ignoreUnknownFields: false };

function guardedHandlers(guard: Guard): ReadonlyMap<string, Answer> {
  const plans = new Map<DescMethod, MethodPlan>();
  const router = createConnectRouter({
    grpc: false,
    acceptCompression: [compressionGzip],
    compressMinBytes: compressBytesMin,
    jsonOptions,
    requestGate: (ctx) => gate(guard, plans, ctx),
  });
  for (const service of guard.services) {
    for (const plan of service.plans) {
      const method = rawMethod(plan.method);
      plans.set(method, plan);
      const handler = rawHandler(plan.method, service);
      router.rpc(method, handler as MethodImpl<DescMethod>, { readMaxBytes: plan.requestBytesMax });
    }
  }
  return new Map(
    router.handlers.map((handler) => [
      handler.requestPath,
      passing(handler, plans.get(handler.method), guard),
    ]),
  );
}

/** The handler, or one that lets batches by it. */
function passing(handler: UniversalHandler, plan: MethodPlan | undefined, guard: Guard): Answer {
  const name = plan?.method.localName ?? "";
  const service = guard.services.find((one) => plan !== undefined && one.plans.includes(plan));
  if (plan === undefined || service?.batches[name] === undefined) return handler;
  const { input, output } = plan.method;
  return passBatch(handler, plan, service.batchJson[name] ?? jsonHere(input, output));
}

type Answer = (request: UniversalServerRequest) => Promise<UniversalServerResponse>;

type Handler = (request: Message, ctx: HandlerContext) => unknown;
/** As Connect calls it: with a raw request. */
type RawHandler = (raw: Message, ctx: HandlerContext) => unknown;

function rawHandler(method: DescMethod, { implementation, batches }: GuardedService): RawHandler {
  const batch = batches[method.localName];
  if (batch !== undefined) return batchHandler(method, batch);
  const handler = implementation[method.localName] as unknown as Handler;
  return (raw, ctx) =>
    handler(
      orFail(ctx, () => readRaw(method.input, raw)),
      ctx,
    );
}

/** Connect has been given a message without content, and gives one: the batch goes by it. */
function batchHandler(method: DescMethod, batch: GuardedBatch): RawHandler {
  return async (_, ctx) => {
    const request = ctx.values.get(batchRequestKey);
    if (request === undefined) throw new Error("no batch came past Connect");
    ctx.values.set(batchAnswerKey, await batch(request, ctx));
    return create(method.output);
  };
}

/** What reading a request gives. A refusal ends the call, as the guard is not there yet. */
function orFail<Request>(ctx: HandlerContext, read: () => Request): Request {
  try {
    return read();
  } catch (error) {
    throw callOf(ctx).fail(error);
  }
}

/** Runs when the headers are there and the body is not read, as on the gRPC mount. */
function gate(
  guard: Guard,
  plans: ReadonlyMap<DescMethod, MethodPlan>,
  ctx: HandlerContext,
): void | Promise<void> {
  const plan = plans.get(ctx.method);
  if (plan === undefined) throw toConnectError(methodNotFound(ctx.url));
  const header = ctx.values.get(cameWithKey) ?? ctx.requestHeader;
  const begun = guard.begin(plan, (name) => header.get(name) ?? undefined, ctx.values);
  const call = ctx.values.get(rpcCallKey);
  if (call !== undefined) follow(call, ctx);
  const doubled = ctx.requestMethod === "GET" ? doubledParameter(ctx.url) : undefined;
  if (doubled === undefined) return begun;
  const refuse = () => {
    throw callOf(ctx).fail(
      undecodable(`${doubled} is in the URL twice`, "", "parameter.duplicate"),
    );
  };
  // Who may not call at all is told that first.
  return begun === undefined ? refuse() : begun.then(refuse);
}

/** What a GET says by its URL. Of two of one of these Connect takes the first, and a proxy before it may take the last. */
const parameters = ["message", "encoding", "base64", "compression", "connect"];

function doubledParameter(url: string): string | undefined {
  const { searchParams } = new URL(url);
  return parameters.find((name) => searchParams.getAll(name).length > 1);
}

/**
 * Connect aborts a call's signal when the call ends, and when it failed the signal's reason is the very error that is
 * serialised next. Errors that Connect makes itself before the handler runs (decoding, size, compression) get our
 * details there; there is no other place that sees them in all protocols.
 */
function follow(call: RpcCall, ctx: HandlerContext): void {
  call.onStall = () => {
    const response = ctx.values.get(responseKey);
    setTimeout(() => response?.destroy(), stalledCloseMs).unref();
  };
  const hasLeft = () => isReset(ctx.values.get(responseKey));
  ctx.signal.addEventListener("abort", () => onEnd(call, ctx.signal.reason, hasLeft()), {
    once: true,
  });
}

/**
 * True if the caller has reset the HTTP/2 stream of a response. He may give any code for it, and a proxy whose own caller
 * went away gives INTERNAL_ERROR; Connect makes an error of each that says the same.
 */
function isReset(response: ServerResponse | undefined): boolean {
  const stream: unknown = response === undefined ? undefined : Reflect.get(response, "stream");
  if (typeof stream !== "object" || stream === null) return false;
  return Reflect.get(stream, "aborted") === true || Number(Reflect.get(stream, "rstCode")) > 0;
}

function onEnd(call: RpcCall, reason: unknown, hasLeft: boolean): void {
  if (!(reason instanceof ConnectError) || (hasLeft && reasonOf(reason) === undefined)) {
    call.abandonSoon();
    return;
  }
  if (reasonOf(reason) !== undefined) return;
  if (reason.code === Code.DeadlineExceeded && call.reached) return; // The guard answers it.
  const { code, rawMessage, message, details } = call.failLibrary(
    reason.code,
    reason.rawMessage,
    reason.cause,
  );
  Object.assign(reason, { code, rawMessage, message, details });
}
