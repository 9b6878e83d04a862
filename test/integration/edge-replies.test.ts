// Goal: no answer of the edge is without a reason. Method: the real Envoy with the real configuration before upstreams that
// fail in every way that Envoy tells apart, asked in every protocol by clients that know nothing of ours; the code of each
// reason is the contract's, and the bytes are read again where no client looks at them.
import { request } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { fromBinary, getOption } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  createClient,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRpcClient } from "#common/rpc/client.ts";
import { explainCutCalls } from "#common/rpc/cut-call.ts";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "#gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";
import { ErrorReasonSchema } from "#gen/sovr/common/v1/error_reason_pb.ts";
import { error_rule as errorRule } from "#gen/sovr/common/v1/error_rule_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import {
  type SituationRoute,
  situationHeader,
  startEdge,
  type TestEdge,
} from "../support/edge/edge.ts";
import { type FaultyUpstreams, startFaultyUpstreams } from "../support/edge/faulty-upstreams.ts";

const localRateLimit =
  "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit";
const buffer = "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute";
const always = { default_value: { numerator: 100, denominator: "HUNDRED" } };

/** What happens, and the reason that is right. */
const situations: Readonly<Record<string, SituationRoute & { readonly reason: string }>> = {
  "nobody listens": { upstream: "refusing", reason: "EDGE_UNAVAILABLE" },
  "the connection is reset": { upstream: "resetting", reason: "EDGE_UNAVAILABLE" },
  "the answer is no HTTP": { upstream: "garbling", reason: "EDGE_UNAVAILABLE" },
  "no host is known": { upstream: "nowhere", reason: "EDGE_UNAVAILABLE" },
  "no answer comes in time": { route: { timeout: "0.5s" }, reason: "EDGE_TIMEOUT" },
  "nothing moves for too long": { route: { idle_timeout: "0.5s" }, reason: "EDGE_TIMEOUT" },
  "the call lasts too long": {
    route: { max_stream_duration: { max_stream_duration: "0.5s" } },
    reason: "EDGE_TIMEOUT",
  },
  "too many calls are under way": { upstream: "full", reason: "LIMIT_EXCEEDED" },
  "the message is too large": {
    filters: {
      "envoy.filters.http.buffer": { "@type": buffer, buffer: { max_request_bytes: 1 } },
    },
    reason: "LIMIT_EXCEEDED",
  },
  "calls come too often": {
    filters: {
      "envoy.filters.http.local_ratelimit": {
        "@type": localRateLimit,
        stat_prefix: "test",
        token_bucket: { max_tokens: 1, tokens_per_fill: 1, fill_interval: "3600s" },
        filter_enabled: always,
        filter_enforced: always,
      },
    },
    route: { timeout: "0.1s" },
    reason: "RATE_LIMITED",
  },
};
const situationNames = Object.keys(situations);

const protocols = {
  gRPC: (baseUrl: string, interceptors: Interceptor[]) =>
    createGrpcTransport({ baseUrl, interceptors }),
  "gRPC-Web": (baseUrl: string, interceptors: Interceptor[]) =>
    createGrpcWebTransport({ baseUrl, httpVersion: "1.1", interceptors }),
  "Connect, binary": (baseUrl: string, interceptors: Interceptor[]) =>
    createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: true, interceptors }),
  "Connect, JSON": (baseUrl: string, interceptors: Interceptor[]) =>
    createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false, interceptors }),
  "Connect, GET": (baseUrl: string, interceptors: Interceptor[]) =>
    createConnectTransport({ baseUrl, httpVersion: "1.1", useHttpGet: true, interceptors }),
} as const;
type Protocol = keyof typeof protocols;
const protocolNames = Object.keys(protocols) as Protocol[];

let upstreams: FaultyUpstreams;
let edge: TestEdge;
beforeAll(async () => {
  upstreams = await startFaultyUpstreams();
  edge = await startEdge(upstreams, {
    ...situations,
    "gRPC is cut": { upstream: "cuttingGrpc" },
    "Connect is cut": { upstream: "cuttingConnect" },
  });
});
afterAll(async () => {
  await edge?.stop();
  await upstreams?.stop();
});

function open(protocol: Protocol, situation: string | undefined): Transport {
  return protocols[protocol](`http://${edge.address}`, into(situation));
}

function into(situation: string | undefined, ...first: Interceptor[]): Interceptor[] {
  const lead: Interceptor = (next) => (call) => {
    if (situation !== undefined) call.header.set(situationHeader, situation);
    return next(call);
  };
  return [...first, lead];
}

async function errorOf(call: Promise<unknown>): Promise<ConnectError> {
  const thrown = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof ConnectError) return thrown;
  throw thrown ?? new Error("the call succeeded");
}

/** A service that the edge has not heard of. */
const unknownService: typeof EventStreamService = renamed("sovr.nowhere.v1.NoService");

function renamed(typeName: string): typeof EventStreamService {
  const service = { ...EventStreamService, typeName };
  const methods = EventStreamService.methods.map((method) => ({ ...method, parent: service }));
  return Object.assign(service, { methods });
}

/** One unary call and one stream, at once. */
function bothErrors(transport: Transport): Promise<ConnectError[]> {
  const client = createClient(EventStreamService, transport);
  return Promise.all([
    errorOf(client.listEvents({ pageSize: 7 })),
    errorOf(Array.fromAsync(client.subscribe({}))),
  ]);
}

/** Holds an error to its reason: one ErrorInfo, the code and keys of the contract, RetryInfo where the code asks for it. */
function expectReason(error: ConnectError, reason: string): void {
  const value = ErrorReasonSchema.values.find(({ localName }) => localName === reason);
  if (value === undefined) throw new Error(`the contract has no ${reason}`);
  const { code, requiredKeys, optionalKeys } = getOption(value, errorRule);
  expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason, domain: "sovr" }]);
  expect(error.code).toBe(code);
  const keys = Object.keys(error.findDetails(ErrorInfoSchema)[0]?.metadata ?? {});
  expect(keys).toEqual(expect.arrayContaining([...requiredKeys]));
  expect([...requiredKeys, ...optionalKeys]).toEqual(expect.arrayContaining(keys));
  const timed = error.code === Code.Unavailable || error.code === Code.ResourceExhausted;
  const delays = error.findDetails(RetryInfoSchema).map(({ retryDelay }) => retryDelay?.seconds);
  expect(delays).toEqual(timed ? [1n] : []);
  expect(error.rawMessage).not.toMatch(/upstream|envoy|^$/i);
}

describe.each(protocolNames)("%s", (protocol) => {
  it.each(situationNames)("says why when %s", async (situation) => {
    const reason = situations[situation]?.reason ?? "";
    // The first of the calls that come too often is let through.
    if (reason === "RATE_LIMITED") await bothErrors(open(protocol, situation));
    // A GET has no body that could be too large.
    if (protocol === "Connect, GET" && situation === "the message is too large") return;
    for (const error of await bothErrors(open(protocol, situation))) expectReason(error, reason);
  });

  it("does not take many who find nobody for too many", async () => {
    const client = createClient(EventStreamService, open(protocol, "nobody listens"));
    const errors = await Promise.all(
      Array.from({ length: 40 }, (_, index) => errorOf(client.listEvents({ pageSize: index + 1 }))),
    );
    for (const error of errors) expectReason(error, "EDGE_UNAVAILABLE");
  });

  it("says why when there is no such path", async () => {
    const client = createClient(unknownService, open(protocol, undefined));
    expectReason(await errorOf(client.listEvents({})), "METHOD_NOT_FOUND");
    expectReason(await errorOf(Array.fromAsync(client.subscribe({}))), "METHOD_NOT_FOUND");
  });
});

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

const listEvents = "/sovr.eventstream.v1.EventStreamService/ListEvents";
const origin = "http://localhost:5206";

function ask(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body = "{}",
): Promise<Answer> {
  const [host, port] = edge.address.split(":");
  return new Promise((resolve, reject) => {
    const call = request({ host, port, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks),
        }),
      );
    });
    call.once("error", reject);
    call.end(body);
  });
}

/** A frame of gRPC-Web or Connect; throws if the bytes are another number than it says. */
function payloadOf(bytes: Buffer, flags: number): string {
  expect(bytes[0]).toBe(flags);
  expect(bytes.readUInt32BE(1)).toBe(bytes.byteLength - 5);
  return bytes.subarray(5).toString();
}

/** What a grpc-status-details-bin says, held against what stands outside of it. */
function detailsOf(status: unknown, message: unknown, details: unknown) {
  const inner = fromBinary(StatusSchema, Buffer.from(String(details), "base64"));
  expect([inner.code, inner.message]).toEqual([
    Number(status),
    decodeURIComponent(String(message)),
  ]);
  return inner.details.map(({ typeUrl }) => typeUrl);
}

const errorInfo = "type.googleapis.com/google.rpc.ErrorInfo";
const retryInfo = "type.googleapis.com/google.rpc.RetryInfo";

describe("on the wire", () => {
  const refused = (contentType: string) =>
    ask("POST", listEvents, {
      "content-type": contentType,
      [situationHeader]: "nobody listens",
      origin,
    });

  it("gRPC has status, message and details in its headers", async () => {
    const session = connectHttp2(`http://${edge.address}`);
    const headers = await new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
      const call = session.request({
        ":method": "POST",
        ":path": listEvents,
        "content-type": "application/grpc",
        [situationHeader]: "nobody listens",
        origin,
      });
      call.once("response", resolve).once("error", reject);
      call.end();
    });
    session.close();
    expect(headers).toMatchObject({
      ":status": 200,
      "content-type": "application/grpc",
      "access-control-allow-origin": origin,
    });
    const details = headers["grpc-status-details-bin"];
    expect(detailsOf(headers["grpc-status"], headers["grpc-message"], details)).toEqual([
      errorInfo,
      retryInfo,
    ]);
  });

  it.each([
    ["application/grpc-web+proto", (body: Buffer) => body],
    ["application/grpc-web-text+proto", (body: Buffer) => Buffer.from(body.toString(), "base64")],
  ])("%s has them in its headers and in its trailer frame", async (contentType, decode) => {
    const { status, headers, body } = await refused(contentType);
    expect([status, headers["content-type"]]).toEqual([200, contentType]);
    const trailer = new Headers(
      payloadOf(decode(body), 0x80)
        .split("\r\n")
        .filter((line) => line !== "")
        .map((line) => line.split(": ") as [string, string]),
    );
    for (const name of ["grpc-status", "grpc-message", "grpc-status-details-bin"]) {
      expect(headers[name]).toBe(trailer.get(name));
      expect(headers["access-control-expose-headers"]).toContain(name);
    }
    const details = headers["grpc-status-details-bin"];
    expect(detailsOf(headers["grpc-status"], headers["grpc-message"], details)).toEqual([
      errorInfo,
      retryInfo,
    ]);
  });

  it.each(["application/json", "application/proto", "text/plain"])(
    "%s to an RPC is answered by JSON, which a browser may read",
    async (contentType) => {
      const { status, headers, body } = await refused(contentType);
      expect([status, headers["content-type"]]).toEqual([503, "application/json"]);
      expect(headers["access-control-allow-origin"]).toBe(origin);
      expect(JSON.parse(body.toString())).toMatchObject({
        code: "unavailable",
        details: [
          { type: "google.rpc.ErrorInfo", debug: { reason: "EDGE_UNAVAILABLE" } },
          { type: "google.rpc.RetryInfo" },
        ],
      });
    },
  );

  it.each(["application/connect+json", "application/connect+proto"])(
    "%s ends with its frame",
    async (contentType) => {
      const { status, headers, body } = await refused(contentType);
      expect([status, headers["content-type"]]).toEqual([200, contentType]);
      expect(JSON.parse(payloadOf(body, 2))).toMatchObject({ error: { code: "unavailable" } });
    },
  );

  it("a path that is no RPC is answered as HTTP is", async () => {
    for (const path of ["/", "/assets/a.js", "/dev/token", "/webhooks/stripe"]) {
      const { status, headers } = await ask("POST", path, {
        "content-type": "application/json",
        [situationHeader]: "nobody listens",
      });
      expect([path, status, headers["content-type"]]).toEqual([path, 503, "text/plain"]);
    }
    expect(await ask("POST", "/metrics", { "content-type": "application/json" })).toMatchObject({
      status: 404,
      body: Buffer.alloc(0),
    });
  });

  it("a preflight is no error", async () => {
    const { status, body } = await ask(
      "OPTIONS",
      listEvents,
      { origin, "access-control-request-method": "POST" },
      "",
    );
    expect([status, body.byteLength]).toEqual([200, 0]);
  });

  it.each([
    ["too many bytes of headers", { "x-large": "x".repeat(40_000) }, 431, "LIMIT_EXCEEDED"],
    [
      "too many headers",
      Object.fromEntries(Array.from({ length: 120 }, (_, index) => [`x-${index}`, "1"])),
      431,
      "LIMIT_EXCEEDED",
    ],
    ["a header that it does not take", { with_underscore: "1" }, 400, "INVALID_FIELD"],
  ])("says why of %s, which it does not know the protocol of", async (_, more, status, reason) => {
    const answer = await ask("POST", listEvents, { "content-type": "application/json", ...more });
    expect([answer.status, answer.headers["content-type"]]).toEqual([status, "application/json"]);
    expect(JSON.parse(answer.body.toString())).toMatchObject({
      details: [{ debug: { reason } }, {}],
    });
  });

  it("says why of what is hardly HTTP", async () => {
    const [host = "", port] = edge.address.split(":");
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connectTcp(Number(port), host, () => socket.write("NONSENSE\r\n\r\n"));
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk;
      });
      socket.once("close", () => resolve(text)).once("error", reject);
    });
    expect(answer).toMatch(/^HTTP\/1.1 400 /);
    expect(answer).toContain("INVALID_FIELD");
  });

  it("a path that it cannot read names no field, and says so in every protocol", async () => {
    for (const protocol of protocolNames) {
      const service = renamed("sovr.eventstream.v1.EventStreamService%2Fx");
      const error = await errorOf(
        createClient(service, open(protocol, undefined)).listEvents({ pageSize: 7 }),
      );
      expect([protocol, error.code]).toEqual([protocol, Code.InvalidArgument]);
      expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "INVALID_FIELD" }]);
      expect(error.findDetails(BadRequestSchema)).toHaveLength(1);
    }
  });
});

describe("an answer that is cut after its headers", () => {
  it("is UNAVAILABLE to our gRPC client, stream and unary", async () => {
    // Its channel sends no headers of a test's own, and needs no edge to meet a cut.
    const address = `127.0.0.1:${upstreams.cuttingGrpc}`;
    using client = createRpcClient(EventStreamService, { address, defaultTimeoutMs: 60_000 });
    const errors = [
      await errorOf(Array.fromAsync(client.subscribe({}))),
      await errorOf(client.listEvents({})),
    ];
    for (const error of errors) expectReason(error, "EDGE_UNAVAILABLE");
  });

  it.each(protocolNames)(
    "is UNAVAILABLE to a client that asks us what it means: %s",
    async (name) => {
      const situation = name === "gRPC" ? "gRPC is cut" : "Connect is cut";
      const transport = protocols[name](`http://${edge.address}`, into(situation, explainCutCalls));
      for (const error of await bothErrors(transport)) expectReason(error, "EDGE_UNAVAILABLE");
    },
  );

  it("is left alone where the caller left", async () => {
    const left = AbortSignal.abort();
    const transport = protocols["Connect, JSON"](
      `http://${edge.address}`,
      into("Connect is cut", explainCutCalls),
    );
    const client = createClient(EventStreamService, transport);
    const error = await errorOf(Array.fromAsync(client.subscribe({}, { signal: left })));
    expect([error.code, error.details]).toEqual([Code.Canceled, []]);
  });
});
