import { once } from "node:events";
import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from "node:http2";
import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { errorFromJson } from "@connectrpc/connect/protocol-connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";

/** A request as no client library would send it. */
export interface RawRequest {
  /** host:port */
  readonly address: string;
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Uint8Array;
}

/** What came back. */
export interface RawReply {
  /** Of HTTP; 0 where the stream or the connection ended without an answer. */
  readonly status: number;
  /** The reason in whatever protocol it was told; "" for an answer, or for an error without one. */
  readonly reason: string;
  readonly body: Buffer;
}

const patienceMs = 90_000;

/** A frame of gRPC, gRPC-Web and Connect's streams. `flags`: 1 says that it is compressed. */
export function frame(body: Uint8Array, flags = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags);
  head.writeUInt32BE(body.byteLength, 1);
  return Buffer.concat([head, body]);
}

/** Sends a request on a connection of its own, and reads all that comes back. */
export async function sendRaw({ address, path, headers, body }: RawRequest): Promise<RawReply> {
  const session = connect(`http://${address}`);
  session.on("error", () => undefined);
  try {
    return await ask(session, path, headers, body);
  } finally {
    session.destroy();
  }
}

async function ask(
  session: ClientHttp2Session,
  path: string,
  headers: OutgoingHttpHeaders,
  body: Uint8Array,
): Promise<RawReply> {
  const stream = session.request({ ":method": "POST", ":path": path, ...headers });
  const told: Record<string, unknown> = {};
  const chunks: Buffer[] = [];
  stream.on("error", () => undefined);
  stream.on("response", (answered) => Object.assign(told, answered));
  stream.on("trailers", (trailers) => Object.assign(told, trailers));
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.end(body);
  await once(stream, "close", { signal: AbortSignal.timeout(patienceMs) });
  const all = Buffer.concat(chunks);
  return { status: Number(told[":status"] ?? 0), reason: reasonOf(told, all), body: all };
}

function reasonOf(told: Readonly<Record<string, unknown>>, body: Buffer): string {
  const details = told["grpc-status-details-bin"] ?? trailerIn(body);
  if (typeof details === "string") return reasonInStatus(details);
  const json = /\{.*\}/s.exec(body.toString("latin1"))?.[0];
  if (json === undefined || !json.includes('"code"')) return "";
  try {
    const parsed = JSON.parse(json);
    const error = errorFromJson(parsed.error ?? parsed, undefined, unreadable);
    return error.findDetails(ErrorInfoSchema)[0]?.reason ?? "";
  } catch {
    return "";
  }
}

const unreadable = { name: "unreadable", message: "", code: Code.Unknown } as never;

/** The details that gRPC-Web has in the last frame of a body. */
function trailerIn(body: Buffer): string | undefined {
  return /grpc-status-details-bin: ?([\w+/=-]+)/i.exec(body.toString("latin1"))?.[1];
}

function reasonInStatus(base64: string): string {
  const { details } = fromBinary(StatusSchema, Buffer.from(base64, "base64"));
  for (const detail of details) {
    const info = anyUnpack(detail, ErrorInfoSchema);
    if (info !== undefined) return info.reason;
  }
  return "";
}
