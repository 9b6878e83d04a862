/**
 * Goal: a deadline is kept whatever its length: a long one does not fire at once, and the reason of a short one is there
 * before the caller gives up. Method: both mounts, asked by hand with the header of each protocol, as clients clamp or count
 * by themselves.
 */
import { request as httpRequest } from "node:http";
import { connect } from "node:http2";
import { fromBinary } from "@bufbuild/protobuf";
import { anyIs, anyUnpack } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import { mountOf } from "#common/rpc/mount.ts";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { type Fixture, mountTwice } from "../support/rpc/fixture.ts";
import { createTokenIssuer, type TokenIssuer } from "../support/rpc/token-issuer.ts";

/** Long enough for a timer that fires at once to have fired. */
const workMs = 50;
const work = () => new Promise((resolve) => setTimeout(resolve, workMs));
/** What a handler saw of its caller's time. */
const seen: (number | undefined)[] = [];
/** How a stream stops whose time is over: as if it were done, or as if its caller had left. Neither is what happened. */
let stop: () => void;

const events: ServiceImpl<typeof EventStreamService> = {
  async *subscribe(_request, ctx) {
    seen.push(ctx.timeoutMs());
    yield {};
    await work();
    // A stream with little time waits for more than there is.
    if ((ctx.timeoutMs() ?? Number.POSITIVE_INFINITY) < 10_000)
      await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve)).then(stop);
  },
  async listEvents(_request, ctx) {
    seen.push(ctx.timeoutMs());
    await work();
    return {};
  },
  watchBalances: () => {
    throw new Error("not part of this test");
  },
};

let issuer: TokenIssuer;
let fixture: Fixture;
let authorization: string;

beforeAll(async () => {
  issuer = await createTokenIssuer();
  authorization = `Bearer ${await issuer.token({ scope: "events.read" })}`;
  const { jwksPath } = issuer;
  fixture = await mountTwice({ mounts: [mountOf(EventStreamService, events)], jwksPath });
});
afterAll(async () => {
  await fixture?.close();
  issuer?.[Symbol.dispose]();
});

const emptyMessage = Buffer.alloc(5);
const pathOf = (method: string) => `/sovr.eventstream.v1.EventStreamService/${method}`;

interface Answer {
  /** "0" for success; the reason of the ErrorInfo otherwise. */
  readonly reason: string | undefined;
  readonly afterMs: number;
}

function reasonIn(details: string | undefined): string | undefined {
  const status = fromBinary(StatusSchema, Buffer.from(details ?? "", "base64"));
  const info = status.details.find((any) => anyIs(any, ErrorInfoSchema));
  return info && anyUnpack(info, ErrorInfoSchema)?.reason;
}

function callGrpc(method: string, timeout: string): Promise<Answer> {
  const session = connect(`http://127.0.0.1:${fixture.grpcPort}`);
  const startMs = performance.now();
  return new Promise<Answer>((resolve, reject) => {
    const call = session.request({
      ":method": "POST",
      ":path": pathOf(method),
      "content-type": "application/grpc",
      te: "trailers",
      authorization,
      "grpc-timeout": timeout,
    });
    const end = (headers: Readonly<Record<string, unknown>>) => {
      if (headers["grpc-status"] === undefined) return;
      const reason =
        headers["grpc-status"] === "0" ? "0" : reasonIn(String(headers["grpc-status-details-bin"]));
      resolve({ reason, afterMs: performance.now() - startMs });
    };
    call.on("response", end).on("trailers", end).once("error", reject).resume();
    call.end(emptyMessage);
  }).finally(() => session.close());
}

function callConnect(
  method: string,
  headers: Readonly<Record<string, string>>,
  body: string | Buffer,
): Promise<{ readonly text: string; readonly afterMs: number }> {
  const startMs = performance.now();
  return new Promise((resolve, reject) => {
    const call = httpRequest(
      {
        host: "127.0.0.1",
        port: fixture.connectPort,
        method: "POST",
        path: pathOf(method),
        headers: { authorization, ...headers },
      },
      (response) => {
        let text = "";
        response.on("data", (chunk) => {
          text += chunk;
        });
        response.once("end", () => resolve({ text, afterMs: performance.now() - startMs }));
      },
    );
    call.once("error", reject);
    call.end(body);
  });
}

async function callGrpcWeb(method: string, timeout: string): Promise<Answer> {
  const { text, afterMs } = await callConnect(
    method,
    { "content-type": "application/grpc-web+proto", "grpc-timeout": timeout },
    emptyMessage,
  );
  const details = /grpc-status-details-bin: (\S+)/.exec(text)?.[1];
  return { reason: /grpc-status: 0/.test(text) ? "0" : reasonIn(details), afterMs };
}

async function callUnaryJson(method: string, timeoutMs: string): Promise<Answer> {
  const headers = { "content-type": "application/json", "connect-timeout-ms": timeoutMs };
  const { text, afterMs } = await callConnect(method, headers, "{}");
  return { reason: text === "{}" ? "0" : text, afterMs };
}

async function callStreamJson(method: string, timeoutMs: string): Promise<Answer> {
  const headers = { "content-type": "application/connect+json", "connect-timeout-ms": timeoutMs };
  const body = Buffer.concat([Buffer.from([0, 0, 0, 0, 2]), Buffer.from("{}")]);
  const { text, afterMs } = await callConnect(method, headers, body);
  return { reason: /"reason":"(\w+)"/.exec(text)?.[1] ?? "0", afterMs };
}

describe("a long deadline", () => {
  // One and the next of what a timer holds, then what the header can say at most.
  it.each(["2147483S", "2147484S", "597H", "99999999M", "99999999H"])(
    "of grpc-timeout %s is none that has passed",
    async (timeout) => {
      for (const call of [callGrpc, callGrpcWeb])
        for (const method of ["ListEvents", "Subscribe"])
          expect([call.name, method, await call(method, timeout)]).toMatchObject([
            call.name,
            method,
            { reason: "0" },
          ]);
    },
  );

  it.each(["2147483647", "2147483648", "9999999999"])(
    "of connect-timeout-ms %s is none that has passed",
    async (timeout) => {
      expect(await callUnaryJson("ListEvents", timeout)).toMatchObject({ reason: "0" });
      expect(await callStreamJson("Subscribe", timeout)).toMatchObject({ reason: "0" });
    },
  );

  it.each(["soon", "-1", "1.5", "10000000000"])(
    "of connect-timeout-ms %s is refused by the header's name",
    async (timeout) => {
      const field = '"field":"connect-timeout-ms"';
      const { reason: unary } = await callUnaryJson("ListEvents", timeout);
      expect(unary).toContain(field);
      expect(unary).not.toContain("decode");
      expect(await callStreamJson("Subscribe", timeout)).toMatchObject({ reason: "INVALID_FIELD" });
    },
  );

  it("of a grpc-timeout that is none is refused by the header's name", async () => {
    for (const call of [callGrpc, callGrpcWeb])
      expect([call.name, await call("ListEvents", "soon")]).toMatchObject([
        call.name,
        { reason: "INVALID_FIELD" },
      ]);
  });

  it("gives a unary call a minute, and a stream what a timer holds", async () => {
    seen.length = 0;
    await callGrpc("ListEvents", "597H");
    await callUnaryJson("ListEvents", "9999999999");
    await callGrpc("Subscribe", "597H");
    await callStreamJson("Subscribe", "9999999999");
    const [grpc = 0, connectMs = 0, ...streams] = seen;
    for (const leftMs of [grpc, connectMs]) {
      expect(leftMs).toBeGreaterThan(50_000);
      expect(leftMs).toBeLessThanOrEqual(60_000);
    }
    for (const leftMs of streams) {
      expect(leftMs).toBeGreaterThan(86_400_000);
      expect(leftMs).toBeLessThan(2 ** 31);
    }
  });
});

const stops = [
  () => undefined,
  () => {
    throw new DomainError("CANCELLED", "the caller left");
  },
];

describe("the deadline of a stream", () => {
  it.each([
    ["gRPC", () => callGrpc("Subscribe", "1S")],
    ["gRPC-Web", () => callGrpcWeb("Subscribe", "1000m")],
    ["Connect", () => callStreamJson("Subscribe", "1000")],
  ])("is answered with its reason before the caller gives up: %s", async (_, call) => {
    for (const stopped of stops) {
      stop = stopped;
      seen.length = 0;
      const { reason, afterMs } = await call();
      expect(reason).toBe("NOT_SENT");
      // How late the answer is depends on the machine; what the stream has, does not.
      expect(seen[0]).toBeLessThanOrEqual(950);
      expect(afterMs).toBeGreaterThan(900);
    }
  });

  it("that is shorter than an answer takes has passed already", async () => {
    expect(await callGrpc("Subscribe", "5m")).toMatchObject({ reason: "NOT_SENT" });
    expect(await callStreamJson("Subscribe", "5")).toMatchObject({ reason: "NOT_SENT" });
  });
});
