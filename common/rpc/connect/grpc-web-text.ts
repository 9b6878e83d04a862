import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalServerRequest, UniversalServerResponse } from "@connectrpc/connect/protocol";

/** gRPC-Web in base64, for browsers and proxies that could not carry bytes as they are. Connect does not know it. */
const textType = /^application\/grpc-web-text(\+proto)?$/i;

/** True for a request whose body, and whose answer, is gRPC-Web in base64. */
export function isGrpcWebText(contentType: string | undefined): boolean {
  return contentType !== undefined && textType.test(contentType);
}

type Bytes = AsyncIterable<Uint8Array>;
type Answer = (request: UniversalServerRequest) => Promise<UniversalServerResponse>;

/** Answers a request in base64 by what answers the same one in bytes. */
export async function answerText(
  request: UniversalServerRequest & { readonly body: Bytes },
  answer: Answer,
): Promise<UniversalServerResponse> {
  const header = new Headers(request.header);
  header.set("content-type", "application/grpc-web+proto");
  const response = await answer({ ...request, header, body: decode(request.body) });
  if (response.header?.get("content-type")?.startsWith("application/grpc-web") !== true)
    return response;
  const textHeader = new Headers(response.header);
  textHeader.set("content-type", "application/grpc-web-text+proto");
  return {
    ...response,
    header: textHeader,
    ...(response.body ? { body: encode(response.body) } : {}),
  };
}

/** One part of the text: several may follow each other, each padded at its end. */
const part = /[A-Za-z0-9+/]+={0,2}/g;

async function* decode(body: Bytes): AsyncGenerator<Uint8Array> {
  let rest = "";
  for await (const chunk of body) {
    const text = rest + Buffer.from(chunk).toString("latin1");
    const whole = text.length - (text.length % 4);
    rest = text.slice(whole);
    yield decodeGroups(text.slice(0, whole));
  }
  if (rest !== "") throw notBase64();
}

/** The bytes of groups of four letters. */
function decodeGroups(text: string): Uint8Array {
  const parts = text.match(part) ?? [];
  let length = 0;
  for (const each of parts) {
    if (each.length % 4 !== 0) throw notBase64();
    length += each.length;
  }
  if (length !== text.length) throw notBase64();
  return Buffer.concat(parts.map((each) => Buffer.from(each, "base64")));
}

function notBase64(): ConnectError {
  return new ConnectError("the body is not base64", Code.InvalidArgument);
}

async function* encode(body: Bytes): AsyncGenerator<Uint8Array> {
  for await (const chunk of body)
    yield Buffer.from(Buffer.from(chunk).toString("base64"), "latin1");
}
