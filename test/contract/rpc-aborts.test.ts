// Goal: a caller that leaves in the middle of its message is CANCELLED, in every protocol, for calls and for streams, and
// nothing of it is an error in the log. Method: bytes by hand, as no client leaves halfway; the server's answer that the
// headers are there says when the rest may be left out.
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import type { HandlerContext } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createLogger } from "#common/process/logger.ts";
import { mountOf } from "#common/rpc/mount.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { type Fixture, mountTwice } from "../support/rpc/fixture.ts";
import { createTokenIssuer, type TokenIssuer } from "../support/rpc/token-issuer.ts";

interface Line {
  readonly level: string;
  readonly method?: string;
  readonly reason?: string;
  readonly traceId?: string;
}

const lines: Line[] = [];
let issuer: TokenIssuer;
let fixture: Fixture;
let calls = 0;

beforeAll(async () => {
  issuer = await createTokenIssuer();
  const write = (line: string) => lines.push(JSON.parse(line));
  const destination = { write } as unknown as NodeJS.WritableStream;
  const logger = createLogger("test", "debug", { format: "json", destination });
  const mount = mountOf(EventStreamService, {
    async *subscribe() {
      yield {};
    },
    async *watchBalances(_: unknown, { signal }: HandlerContext) {
      yield {};
      if (!signal.aborted) await once(signal, "abort");
    },
    listEvents: async () => ({}),
  });
  fixture = await mountTwice({ mounts: [mount], jwksPath: issuer.jwksPath, logger });
});

afterAll(async () => {
  await fixture.close();
  issuer[Symbol.dispose]();
});

async function headers(contentType: string): Promise<Record<string, string>> {
  calls += 1;
  return {
    authorization: `Bearer ${await issuer.token({ scope: "events.read" })}`,
    "content-type": contentType,
    "x-request-id": `abort-${calls}`,
  };
}

const service = `/${EventStreamService.typeName}`;
/** The beginning of a message of 80 bytes in an envelope, or of one without. */
const partOfBody = Buffer.from([0, 0, 0, 0, 80, 0x0a, 0x08]);

type Leave = (socket: ReturnType<typeof connect>) => unknown;

/** Sends a part of a request to the Connect port, and leaves. Returns the id of the call. */
async function leaveHttp(method: string, contentType: string, framing: string, leave: Leave) {
  const socket = connect(fixture.connectPort, "127.0.0.1");
  socket.on("error", () => undefined);
  const all = { host: "x", expect: "100-continue", ...(await headers(contentType)) };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`POST ${service}/${method} HTTP/1.1\r\n${head.join("")}${framing}\r\n\r\n`);
  await once(socket, "data");
  const part = contentType.includes("text") ? partOfBody.toString("base64") : partOfBody;
  socket.write(framing.startsWith("transfer") ? "2\r\n\x00\x00\r\n" : part);
  leave(socket);
  return `abort-${calls}`;
}

/** The same to the gRPC port. */
async function leaveHttp2(method: string) {
  const session = connectHttp2(`http://127.0.0.1:${fixture.grpcPort}`);
  session.on("error", () => undefined);
  const stream = session.request({
    ":method": "POST",
    ":path": `${service}/${method}`,
    te: "trailers",
    ...(await headers("application/grpc")),
  });
  stream.on("error", () => undefined);
  // A ping overtakes what waits to be sent; when the message is sent, the headers are, and the answer to the ping comes
  // after both.
  await new Promise((resolve) => stream.write(partOfBody, resolve));
  await new Promise((resolve) => session.ping(resolve));
  session.destroy();
  return `abort-${calls}`;
}

async function expectCancelled(traceId: string): Promise<void> {
  const ends = () => lines.filter((line) => line.traceId === traceId);
  await expect.poll(ends).toMatchObject([{ level: "debug", reason: "CANCELLED" }]);
  expect(lines.filter(({ level }) => level !== "debug")).toEqual([]);
}

const length = "content-length: 1000";
const chunked = "transfer-encoding: chunked";
const left: Leave = (socket) => socket.destroy();
const reset: Leave = (socket) => socket.resetAndDestroy();
const halfClosed: Leave = (socket) => socket.end();

test.each([
  ["Connect JSON", "ListEvents", "application/json", length, left],
  [
    "Connect JSON that is compressed",
    "ListEvents",
    "application/json",
    `content-encoding: gzip\r\n${length}`,
    left,
  ],
  ["Connect JSON in chunks", "ListEvents", "application/json", chunked, reset],
  ["Connect JSON, half closed", "ListEvents", "application/json", length, halfClosed],
  ["Connect binary", "ListEvents", "application/proto", length, reset],
  ["gRPC-Web", "ListEvents", "application/grpc-web+proto", length, left],
  ["gRPC-Web as text", "ListEvents", "application/grpc-web-text", length, left],
  ["a Connect stream", "Subscribe", "application/connect+proto", length, left],
  [
    "a Connect stream in JSON, half closed",
    "Subscribe",
    "application/connect+json",
    chunked,
    halfClosed,
  ],
  ["a gRPC-Web stream", "Subscribe", "application/grpc-web+proto", chunked, reset],
] as const)(
  "%s: whoever leaves is CANCELLED",
  async (_name, method, contentType, framing, leave) => {
    await expectCancelled(await leaveHttp(method, contentType, framing, leave));
  },
);

test.each(["ListEvents", "Subscribe"])("gRPC %s: whoever leaves is CANCELLED", async (method) => {
  await expectCancelled(await leaveHttp2(method));
});

/** NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM. */
const resetCodes = [0, 1, 2, 7, 8, 11];

test.each(
  resetCodes.flatMap((code) =>
    (["application/grpc-web+proto", "application/connect+proto"] as const).map(
      (type) => [code, type] as const,
    ),
  ),
)("whoever resets a stream over HTTP/2 with code %i, %s, is CANCELLED", async (code, type) => {
  const session = connectHttp2(`http://127.0.0.1:${fixture.connectPort}`);
  session.on("error", () => undefined);
  const stream = session.request({
    ":method": "POST",
    ":path": `${service}/WatchBalances`,
    ...(await headers(type)),
  });
  const traceId = `abort-${calls}`;
  stream.on("error", () => undefined);
  stream.end(Buffer.from([0, 0, 0, 0, 3, 0x0a, 0x01, 0x31]));
  await once(stream, "data");
  stream.close(code);
  await expectCancelled(traceId);
  session.destroy();
});
