/**
 * Goal: a client that does not read harms nobody, on either mount. Method: raw HTTP clients that stop reading, a
 * stream without end, and counts of what the handler was asked for.
 */
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { toBinary } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import { createRpcClient } from "#common/rpc/client.ts";
import { mountOf } from "#common/rpc/mount.ts";
import {
  EventStreamService,
  SubscribeRequestSchema,
} from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { type Fixture, mountTwice } from "../support/rpc/fixture.ts";
import { createTokenIssuer, type TokenIssuer } from "../support/rpc/token-issuer.ts";

// A stream that nobody reads may linger for five seconds.
vi.setConfig({ testTimeout: 60_000 });

const patience = { timeout: 30_000 };
const stallMs = 300;
const path = "/sovr.eventstream.v1.EventStreamService/Subscribe";
const cursor = "x".repeat(10_000);

/** What the handler has seen. */
const seen = { yielded: 0, ends: [] as string[] };

const events: ServiceImpl<typeof EventStreamService> = {
  async *subscribe() {
    try {
      for (;;) {
        seen.yielded += 1;
        yield { cursor };
      }
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      seen.ends.push(error.kind);
      throw new DomainError("SLOW_CONSUMER", error.message, { metadata: { cursor: "7" } });
    } finally {
      seen.ends.push("finally");
    }
  },
  listEvents: async () => ({}),
  watchBalances: () => {
    throw new Error("not part of this test");
  },
};

let issuer: TokenIssuer;
let fixture: Fixture;
let authorization: string;

/** `streamStallMs`: how long a client may take nothing. */
function mountEvents(streamStallMs: number): Promise<Fixture> {
  const { jwksPath } = issuer;
  return mountTwice({ mounts: [mountOf(EventStreamService, events)], jwksPath, streamStallMs });
}

beforeEach(async () => {
  issuer = await createTokenIssuer();
  authorization = `Bearer ${await issuer.token({ scope: "events.read" })}`;
  fixture = await mountEvents(stallMs);
  seen.yielded = 0;
  seen.ends.length = 0;
});

afterEach(async () => {
  await fixture.close();
  issuer[Symbol.dispose]();
});

/** An empty SubscribeRequest with gRPC's and Connect's five bytes in front. */
function envelope(): Buffer {
  const message = toBinary(SubscribeRequestSchema, {
    $typeName: "sovr.eventstream.v1.SubscribeRequest",
    start: { case: undefined },
  });
  const header = Buffer.alloc(5);
  header.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([header, message]);
}

/** Opens a gRPC stream by hand and reads nothing. */
function openGrpc(session: ClientHttp2Session): ClientHttp2Stream {
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    authorization,
  });
  stream.end(envelope());
  return stream;
}

/** Resolves when a value has stayed the same for a while: whoever raised it is blocked. */
async function settled(read: () => number): Promise<number> {
  for (let last = -1; ; ) {
    await new Promise((resolve) => setTimeout(resolve, stallMs / 3));
    if (read() === last && last > 0) return last;
    last = read();
  }
}

describe("a gRPC client that does not read", () => {
  it("blocks its own handler, gets SLOW_CONSUMER, and only its stream is reset", async () => {
    const session = connect(`http://127.0.0.1:${fixture.grpcPort}`);
    const stuck = openGrpc(session);
    const closed = once(stuck, "close");
    await settled(() => seen.yielded);
    expect(seen.yielded).toBeLessThan(100);
    await expect.poll(() => seen.ends, patience).toEqual(["SLOW_CONSUMER", "finally"]);

    await closed;
    expect(stuck.rstCode).toBe(constants.NGHTTP2_CANCEL);
    expect(session.destroyed).toBe(false);
    const next = openGrpc(session);
    const [headers] = await once(next, "response");
    expect(headers[":status"]).toBe(200);
    session.destroy();
  });
});

describe("an HTTP/1.1 client that does not read", () => {
  it("blocks its own handler, and its connection is closed", async () => {
    const request = httpRequest({
      port: fixture.connectPort,
      path,
      method: "POST",
      headers: { "content-type": "application/connect+proto", authorization },
    });
    request.end(envelope());
    const [response] = await once(request, "response");
    response.pause();
    await settled(() => seen.yielded);
    await expect.poll(() => seen.ends, patience).toEqual(["SLOW_CONSUMER", "finally"]);
    const closed = new Promise<void>((resolve) => response.on("close", resolve));
    response.on("error", () => undefined);
    // The client looks again when the server has given it up: the rest of the buffers, then the end.
    await expect.poll(() => fixture.connections(), patience).toBe(0);
    response.resume();
    await closed;
    expect(response.complete).toBe(false);
  });
});

describe("the client", () => {
  it("holds the server back when its loop is slow, and loses nothing", async () => {
    // A loop that is slow is no client that takes nothing, however busy the machine is.
    await fixture.close();
    fixture = await mountEvents(60_000);
    using client = createRpcClient(EventStreamService, {
      address: `127.0.0.1:${fixture.grpcPort}`,
      token: async () => authorization.slice("Bearer ".length),
      defaultTimeoutMs: 1_000,
    });
    let count = 0;
    for await (const message of client.subscribe({})) {
      expect(message.cursor).toBe(cursor);
      count += 1;
      if (count === 1) {
        expect(await settled(() => seen.yielded)).toBeLessThan(100);
      }
      if (count === 500) break;
    }
    expect(count).toBe(500);
    await expect.poll(() => seen.ends, patience).toEqual(["finally"]);
  });
});
