import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { type ContextKey, createContextKey } from "@connectrpc/connect";
import type {
  UniversalHandler,
  UniversalServerRequest,
  UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import { DomainError, invalidField } from "#common/domain-error.ts";
import type { MethodPlan } from "../method-plan.ts";
import type { BatchJson } from "../mount.ts";
import { messageTooLarge, type RpcCall, rpcCallKey } from "../rpc-call.ts";

/** A batch's request, and its answer, as bytes: they pass Connect by, which would decode them on the event loop. */
export const batchRequestKey = bytesKey("batch request");
export const batchAnswerKey = bytesKey("batch answer");
/** The headers as they came. Those that Connect sees tell of a request without content. */
export const cameWithKey: ContextKey<Headers | undefined> = createContextKey<Headers | undefined>(
  undefined,
  { description: "headers as they came" },
);

function bytesKey(description: string): ContextKey<Uint8Array | undefined> {
  return createContextKey<Uint8Array | undefined>(undefined, { description });
}

/** How a request carries its message, as its content type says. */
interface Form {
  /** With five bytes before each message, as gRPC-Web has it. */
  readonly isFramed: boolean;
  readonly isJson: boolean;
}

const forms: Readonly<Record<string, Form>> = {
  "application/proto": { isFramed: false, isJson: false },
  "application/json": { isFramed: false, isJson: true },
  "application/grpc-web": { isFramed: true, isJson: false },
  "application/grpc-web+proto": { isFramed: true, isJson: false },
  "application/grpc-web+json": { isFramed: true, isJson: true },
};

const encodings = ["content-encoding", "grpc-encoding"];
/** What would be wrong of a request without content. */
const contentHeaders = [...encodings, "content-length", "accept-encoding", "grpc-accept-encoding"];
/** Below this an answer is sent as it is. */
const compressBytesMin = 4_096;

/**
 * Lets a handler of Connect answer a batch method without the batch: it is given a request without content, begins the
 * call, refuses what it refuses, and runs the handler; request and answer go by as bytes. JSON is read and written by
 * `json`, which is somewhere else than on the event loop.
 */
export function passBatch(
  handler: UniversalHandler,
  plan: MethodPlan,
  json: BatchJson,
): (request: UniversalServerRequest) => Promise<UniversalServerResponse> {
  return async (request) => {
    const type = request.header.get("content-type")?.split(";", 1)[0]?.trim().toLowerCase() ?? "";
    const form = forms[type];
    const encoding = encodingOf(request.header);
    const { contextValues: values } = request;
    const isKnown = encoding === "identity" || encoding === "gzip";
    // Whatever else it is, Connect refuses it before it reads anything.
    if (form === undefined || !isKnown || values === undefined) return handler(request);
    values.set(cameWithKey, request.header);
    const header = new Headers(request.header);
    for (const name of contentHeaders) header.delete(name);
    header.set("content-type", type.replace("json", "proto"));
    const body = withoutContent(request, { form, encoding, plan, json });
    const response = await handler({ ...request, header, body });
    const answer = values.get(batchAnswerKey);
    if (answer === undefined) return response;
    const bytes = form.isJson ? await json.write(answer) : answer;
    return form.isFramed
      ? framedAnswer(response, bytes, type)
      : unaryAnswer(response, bytes, type, request.header);
  };
}

function encodingOf(header: Headers): string {
  const [encoding = "identity"] = encodings.flatMap((name) => header.get(name) ?? []);
  return encoding;
}

interface Reading {
  readonly form: Form;
  readonly encoding: string;
  readonly plan: MethodPlan;
  readonly json: BatchJson;
}

/** Reads the request, when Connect comes to it, and gives Connect a message without content in its place. */
async function* withoutContent(
  { body, contextValues: values }: UniversalServerRequest,
  reading: Reading,
): AsyncGenerator<Uint8Array> {
  const call = values?.get(rpcCallKey);
  if (call === undefined || values === undefined || !isBytes(body))
    throw new Error("the gate has begun no call");
  try {
    values.set(batchRequestKey, await readBatch(body, reading));
  } catch (error) {
    throw failed(call, error);
  }
  if (reading.form.isFramed) yield new Uint8Array(frameHeadBytes);
}

function failed(call: RpcCall, error: unknown): unknown {
  return error instanceof DomainError ? call.fail(error) : error;
}

function isBytes(body: UniversalServerRequest["body"]): body is AsyncIterable<Uint8Array> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}

const frameHeadBytes = 5;
const compressedFlag = 1;

async function readBatch(
  body: AsyncIterable<Uint8Array>,
  { form, encoding, plan, json }: Reading,
): Promise<Uint8Array> {
  const bytesMax = plan.requestBytesMax;
  const all = await collect(body, bytesMax + (form.isFramed ? frameHeadBytes : 0), bytesMax);
  const { bytes, isCompressed } = form.isFramed
    ? unframed(all)
    : { bytes: all, isCompressed: encoding === "gzip" };
  const message = isCompressed ? await unzipped(bytes, bytesMax) : bytes;
  return form.isJson ? await json.read(message) : message;
}

async function collect(
  body: AsyncIterable<Uint8Array>,
  takenMax: number,
  bytesMax: number,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let taken = 0;
  for await (const chunk of body) {
    taken += chunk.byteLength;
    if (taken > takenMax) throw messageTooLarge(bytesMax);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, taken);
}

function unframed(all: Buffer): { readonly bytes: Buffer; readonly isCompressed: boolean } {
  const bytes = all.subarray(frameHeadBytes);
  if (all.byteLength < frameHeadBytes || all.readUInt32BE(1) !== bytes.byteLength)
    throw invalidField("", "decode", "is not one message of the length that it says");
  return { bytes, isCompressed: all[0] === compressedFlag };
}

async function unzipped(bytes: Uint8Array, maxOutputLength: number): Promise<Uint8Array> {
  try {
    return await promisify(gunzip)(bytes, { maxOutputLength });
  } catch (error) {
    const isTooLarge = error instanceof RangeError;
    throw isTooLarge ? messageTooLarge(maxOutputLength) : invalidField("", "decode", "is no gzip");
  }
}

async function unaryAnswer(
  response: UniversalServerResponse,
  bytes: Uint8Array,
  type: string,
  asked: Headers,
): Promise<UniversalServerResponse> {
  const header = new Headers(response.header);
  header.set("content-type", type);
  const isZipped =
    bytes.byteLength >= compressBytesMin && /\bgzip\b/.test(asked.get("accept-encoding") ?? "");
  if (isZipped) header.set("content-encoding", "gzip");
  const sent = isZipped ? await promisify(gzip)(bytes) : bytes;
  header.set("content-length", String(sent.byteLength));
  return { ...response, header, body: only(sent) };
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function framedAnswer(
  response: UniversalServerResponse,
  bytes: Uint8Array,
  type: string,
): UniversalServerResponse {
  const header = new Headers(response.header);
  header.set("content-type", type);
  const { body } = response;
  return { ...response, header, ...(body === undefined ? {} : { body: refilled(body, bytes) }) };
}

/** Puts the answer in the place of the message without content, which comes first, and leaves the trailers as they are. */
async function* refilled(
  body: AsyncIterable<Uint8Array>,
  bytes: Uint8Array,
): AsyncGenerator<Uint8Array> {
  let isFirst = true;
  for await (const chunk of body) {
    if (!isFirst) yield chunk;
    else {
      const head = Buffer.alloc(frameHeadBytes);
      head.writeUInt32BE(bytes.byteLength, 1);
      yield head;
      yield bytes;
      if (chunk.byteLength > frameHeadBytes) yield chunk.subarray(frameHeadBytes);
    }
    isFirst = false;
  }
}
