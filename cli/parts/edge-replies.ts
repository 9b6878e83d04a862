import type { ConnectError } from "@connectrpc/connect";
import {
  codeToHttpStatus,
  contentTypeStreamJson,
  contentTypeStreamProto,
  contentTypeUnaryJson,
  endStreamFlag,
  endStreamToJson,
  errorToJson,
} from "@connectrpc/connect/protocol-connect";
import { trailerFlag, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import { detailTypes } from "#common/rpc/errors.ts";
import { toGrpcStatus } from "#common/rpc/grpc/status.ts";
import { type EdgeSituation, edgeSituations } from "./edge-situations.ts";

/** A filter of Envoy's access logs, which is how a mapper of local replies says when it applies. */
type Filter = Readonly<Record<string, unknown>>;

/** A protocol: how Envoy recognises a request of it, and what an error is in it. */
interface Protocol {
  readonly requests: Filter;
  readonly reply: (error: ConnectError, situation: EdgeSituation) => Reply;
}

interface Reply {
  /** The HTTP status; undefined leaves Envoy's own. Of gRPC Envoy always makes 200. */
  readonly status?: number;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/** What begins with the name of a service is meant for an RPC, even where the rest is none. */
const pathOfRpc = "/[A-Za-z_]\\w*(\\.[A-Za-z_]\\w*)+(/|%2[fF]).*";

/** The first whose requests it is answers: content types on any path, then whatever comes to the path of an RPC. */
const protocols: readonly Protocol[] = [
  {
    // Envoy knows these itself: the body that it is given becomes grpc-message.
    requests: contentType("application/grpc(\\+.+)?"),
    reply: (error) => ({
      contentType: "application/grpc",
      headers: grpcHeaders(error),
      body: error.rawMessage,
    }),
  },
  {
    requests: contentType("application/grpc-web-text(\\+.+)?"),
    reply: (error) => ({
      ...grpcWebReply("application/grpc-web-text+proto", error),
      body: Buffer.from(grpcWebFrame(error)).toString("base64"),
    }),
  },
  {
    requests: contentType("application/grpc-web(\\+.+)?"),
    reply: (error) => grpcWebReply("application/grpc-web+proto", error),
  },
  {
    requests: contentType("application/connect\\+json"),
    reply: (error) => connectStreamReply(contentTypeStreamJson, error),
  },
  {
    requests: contentType("application/connect\\+.+"),
    reply: (error) => connectStreamReply(contentTypeStreamProto, error),
  },
  {
    requests: header(":path", pathOfRpc),
    reply: (error, situation) => ({
      ...connectReply(error),
      status: situation.connectStatus ?? codeToHttpStatus(error.code),
    }),
  },
  {
    // What Envoy could not read it does not know the headers of; only HTTP/1.1 gets here, and thus Connect most likely.
    requests: { header_filter: { header: { name: ":path", present_match: false } } },
    reply: (error) => connectReply(error),
  },
];

/**
 * Envoy's `local_reply_config`, as JSON in one line: what Envoy answers by itself, in the protocol of the request, each
 * with the details that a service would give. Codes and delays are those of the contract, by the very functions that the
 * services use.
 */
export function edgeReplies(): string {
  const mappers = edgeSituations().flatMap((situation) =>
    protocols.map(({ requests, reply }) =>
      mapper(
        { and_filter: { filters: [situation.when, requests] } },
        reply(situation.error, situation),
      ),
    ),
  );
  return JSON.stringify({ mappers });
}

function mapper(filter: Filter, { status, contentType, headers = {}, body }: Reply) {
  return {
    filter,
    ...(status === undefined ? {} : { status_code: status }),
    body:
      typeof body === "string"
        ? { inline_string: body }
        : { inline_bytes: Buffer.from(body).toString("base64") },
    // Through this name bytes pass as they are; Envoy reads no format in them.
    body_format_override: {
      text_format_source: { inline_string: "%LOCAL_REPLY_BODY%" },
      content_type: contentType,
    },
    headers_to_add: Object.entries(headers).map(([key, value]) => ({
      header: { key, value: value.replaceAll("%", "%%") },
      append_action: "OVERWRITE_IF_EXISTS_OR_ADD",
    })),
  };
}

function header(name: string, regex: string): Filter {
  return { header_filter: { header: { name, string_match: { safe_regex: { regex } } } } };
}

function contentType(regex: string): Filter {
  return header("content-type", `(?i)${regex}(\\s*;.*)?`);
}

function grpcHeaders(error: ConnectError): Record<string, string> {
  const { metadata } = toGrpcStatus(error);
  const headers = metadata.toHttp2Headers();
  return {
    "grpc-status": String(error.code),
    ...Object.fromEntries(Object.entries(headers).map(([key, value]) => [key, String(value)])),
  };
}

/** The status in the headers, where a browser's code may look when there is no message, and in the body, where all do. */
function grpcWebReply(contentType: string, error: ConnectError): Reply {
  return { status: 200, contentType, headers: grpcWebStatus(error), body: grpcWebFrame(error) };
}

function grpcWebStatus(error: ConnectError): Record<string, string> {
  return { ...grpcHeaders(error), "grpc-message": encodeURIComponent(error.rawMessage) };
}

function grpcWebFrame(error: ConnectError): Uint8Array {
  return frame(trailerFlag, trailerSerialize(new Headers(grpcWebStatus(error))));
}

function connectReply(error: ConnectError): Reply {
  const json = errorToJson(error, { registry: detailTypes });
  return { contentType: contentTypeUnaryJson, body: JSON.stringify(json) };
}

function connectStreamReply(contentType: string, error: ConnectError): Reply {
  const json = endStreamToJson(new Headers(), error, { registry: detailTypes });
  const body = frame(endStreamFlag, new TextEncoder().encode(JSON.stringify(json)));
  return { status: 200, contentType, body };
}

/** A message as gRPC-Web and Connect frame it: flags, length, payload. */
function frame(flags: number, payload: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(5 + payload.byteLength);
  bytes.writeUInt8(flags, 0);
  bytes.writeUInt32BE(payload.byteLength, 1);
  bytes.set(payload, 5);
  return bytes;
}
