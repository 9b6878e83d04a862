import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { errorFromJson } from "@connectrpc/connect/protocol-connect";
import { type ClientReadableStream, type Client as GrpcClient, Metadata } from "@grpc/grpc-js";
import { fromServiceError } from "#common/rpc/grpc/status.ts";

/** A method with a request in any bytes, and who calls. */
export interface RawCall {
  readonly method: DescMethod;
  readonly body: Uint8Array;
  readonly token: string;
}

/** How a call ended: the error that its caller gets; undefined for an answer, or for the first message of a stream. */
export type RawOutcome = ConnectError | undefined;

const callMsMax = 60_000;
const same = (bytes: Buffer): Buffer => bytes;

function pathOf({ parent, name }: DescMethod): string {
  return `/${parent.typeName}/${name}`;
}

/** Calls over gRPC. A stream is left after its first message. */
export function callGrpc(
  client: GrpcClient,
  { method, body, token }: RawCall,
): Promise<RawOutcome> {
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  const options = { deadline: Date.now() + callMsMax };
  const bytes = Buffer.from(body);
  return new Promise((resolve) => {
    const stream: ClientReadableStream<Buffer> = client.makeServerStreamRequest(
      pathOf(method),
      same,
      same,
      bytes,
      metadata,
      options,
    );
    stream.on("data", () => {
      resolve(undefined);
      stream.cancel();
    });
    stream.on("end", () => resolve(undefined));
    stream.on("error", (error) => resolve(fromServiceError(error as never)));
  });
}

/** Calls over Connect at `address`, host:port. `encoding`: what the body claims to be. */
export async function callConnect(
  address: string,
  encoding: "json" | "proto",
  { method, body, token }: RawCall,
): Promise<RawOutcome> {
  const isStream = method.methodKind === "server_streaming";
  const leave = new AbortController();
  const late = setTimeout(() => leave.abort(new Error("no answer")), callMsMax);
  try {
    const response = await fetch(`http://${address}${pathOf(method)}`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": `application/${isStream ? "connect+" : ""}${encoding}`,
      },
      body: isStream ? enveloped(body) : Buffer.from(body),
      signal: leave.signal,
    });
    if (isStream) return await endOfStream(response);
    const text = await response.text();
    return response.ok ? undefined : errorOf(JSON.parse(text), response.status);
  } finally {
    clearTimeout(late);
    leave.abort();
  }
}

function enveloped(body: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.byteLength, 1);
  return Buffer.concat([head, body]);
}

/** The error of a stream that has one before any message. */
async function endOfStream(response: Response): Promise<RawOutcome> {
  if (!response.ok || response.body === null) throw new Error(`HTTP ${response.status}`);
  let bytes = Buffer.alloc(0);
  for await (const chunk of response.body) {
    bytes = Buffer.concat([bytes, chunk]);
    if (bytes.length < 5 || bytes.length < 5 + bytes.readUInt32BE(1)) continue;
    if ((bytes[0] ?? 0) < 2) return undefined;
    const { error } = JSON.parse(bytes.toString("utf8", 5, 5 + bytes.readUInt32BE(1)));
    return error === undefined ? undefined : errorOf(error, response.status);
  }
  throw new Error("the stream ended without an end");
}

function errorOf(json: unknown, status: number): ConnectError {
  const fallback = new ConnectError(`HTTP ${status}: ${JSON.stringify(json)}`, Code.Unknown);
  return errorFromJson(json as never, undefined, fallback);
}
