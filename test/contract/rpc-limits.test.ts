// Goal: what one process takes is bounded, on both mounts together, and whoever is beyond it hears of what, in his own
// protocol, with the time to wait. Method: both mounts of services that only wait, asked by every client; what holds the
// memory are requests whose bodies do not come.
import { once } from "node:events";
import { type ClientRequest, request } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import {
  Code,
  ConnectError,
  createClient,
  type ServiceImpl,
  type Transport,
} from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { runtimeLimits } from "#common/rpc/limits/runtime-limits.ts";
import { mountOf } from "#common/rpc/mount.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { type Fixture, mountTwice, type Protocol, protocolsOf } from "../support/rpc/fixture.ts";
import { createTokenIssuer, type TokenIssuer } from "../support/rpc/token-issuer.ts";

const notImplemented = (): never => {
  throw new Error("not part of this test");
};
const ledger = new Proxy({} as ServiceImpl<typeof LedgerService>, {
  get: () => async () => ({}),
});
const clearing = new Proxy({} as Omit<ServiceImpl<typeof ClearingService>, "clearBatch">, {
  get: () => notImplemented,
});
const events: ServiceImpl<typeof EventStreamService> = {
  async *subscribe(_request, ctx) {
    yield { cursor: "1" };
    await once(ctx.signal, "abort");
  },
  listEvents: notImplemented,
  watchBalances: notImplemented,
};

const streamsOfSubjectMax = 4;
let issuer: TokenIssuer;
let fixture: Fixture;
let protocols: ReadonlyMap<string, Protocol>;
/** What a test still holds. */
const held: (() => void)[] = [];

beforeAll(async () => {
  issuer = await createTokenIssuer();
  fixture = await mountTwice({
    mounts: [
      mountOf(LedgerService, ledger),
      mountOf(ClearingService, clearing, { clearBatch: async () => Buffer.alloc(0) }),
      mountOf(EventStreamService, events),
    ],
    jwksPath: issuer.jwksPath,
    streamsOfSubjectMax,
  });
  protocols = new Map(protocolsOf(fixture).map((protocol) => [protocol.name, protocol]));
});
afterEach(() => {
  for (const release of held.splice(0)) release();
});
afterAll(async () => {
  for (const protocol of protocols.values()) protocol[Symbol.dispose]();
  await fixture.close();
  issuer[Symbol.dispose]();
});

const names = [
  "grpc-js",
  "connect-node gRPC",
  "gRPC-Web",
  "Connect binary",
  "Connect binary, HTTP/2",
  "Connect JSON",
];

function transportOf(name: string): Transport {
  const protocol = protocols.get(name);
  if (protocol === undefined) throw new Error(`there is no ${name}`);
  return protocol.transport;
}

async function bearer(subject: string): Promise<Record<string, string>> {
  const scope = "ledger.read events.read clearing.write clearing.batch";
  return { authorization: `Bearer ${await issuer.token({ scope, subject })}` };
}

async function refusalOf(call: Promise<unknown>) {
  const error = await call.then(
    () => new Error("it was taken"),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ConnectError)) throw error;
  expect(error.findDetails(RetryInfoSchema)).toHaveLength(1);
  const [info] = error.findDetails(ErrorInfoSchema);
  return { code: Code[error.code], reason: info?.reason, ...info?.metadata };
}

/** Opens a stream and waits for its first message; `held` ends it. */
async function open(name: string, headers: Record<string, string>): Promise<() => void> {
  const stop = new AbortController();
  const client = createClient(EventStreamService, transportOf(name));
  const messages = client.subscribe({}, { headers, signal: stop.signal })[Symbol.asyncIterator]();
  await messages.next();
  const end = () => {
    stop.abort();
    messages.next().catch(() => undefined);
  };
  held.push(end);
  return end;
}

describe("streams of one subject", () => {
  it("are bounded over both mounts, and those of others are not touched", async () => {
    const alice = await bearer("alice");
    const ends: (() => void)[] = [];
    for (const name of names.slice(0, streamsOfSubjectMax)) ends.push(await open(name, alice));
    for (const name of names) {
      expect([name, await refusalOf(open(name, alice))]).toEqual([
        name,
        {
          code: "ResourceExhausted",
          reason: "LIMIT_EXCEEDED",
          limit: String(streamsOfSubjectMax),
          what: "streams of one subject at once",
        },
      ]);
    }
    await open("Connect JSON", await bearer("bob"));
    const transport = transportOf("grpc-js");
    await createClient(LedgerService, transport).listAssets({}, { headers: alice });
    ends.pop()?.();
    // Its place is free when the service has heard that the caller left.
    await expect
      .poll(() =>
        open("grpc-js", alice).then(
          () => "open",
          () => "refused",
        ),
      )
      .toBe("open");
  });
});

const clearBatch = "/sovr.clearing.v1.ClearingService/ClearBatch";
const mebibyte = 1 << 20;
/** Four requests of ClearBatch at their largest. */
const ofClearBatch = 64 * mebibyte;

/** Begins a request that says how long it is, and does not come. */
async function announce(bytes: number): Promise<void> {
  const call: ClientRequest = request({
    port: fixture.connectPort,
    method: "POST",
    path: clearBatch,
    agent: false,
    headers: {
      ...(await bearer("mallory")),
      "content-type": "application/json",
      "content-length": String(bytes),
    },
  });
  call.on("error", () => undefined);
  held.push(() => call.destroy());
  call.flushHeaders();
}

const tooManyBytes = {
  code: "ResourceExhausted",
  reason: "LIMIT_EXCEEDED",
  limit: String(ofClearBatch),
  what: "bytes of requests to one method at once",
};

/** What ClearBatch answers: "taken", or why not. */
async function batchOf(name: string, requests: number) {
  const client = createClient(ClearingService, transportOf(name));
  const headers = await bearer("alice");
  const message = { requests: Array(requests).fill({ intent: { merchantId: "m".repeat(128) } }) };
  const call = client.clearBatch(message, { headers });
  return await call.then(
    () => "taken",
    () => refusalOf(call),
  );
}

describe("bytes of requests", () => {
  it("are taken when a request announces them, and refused before any of a further one is read", async () => {
    for (let count = 0; count < 4; count += 1) await announce(16 * mebibyte);
    for (const name of names) {
      await expect.poll(() => batchOf(name, 1)).toEqual(tooManyBytes);
    }
    // What one method holds is not all that the process has.
    const client = createClient(LedgerService, transportOf("Connect JSON"));
    await client.listAssets({}, { headers: await bearer("alice") });
    for (const release of held.splice(0)) release();
    for (const name of names) await expect.poll(() => batchOf(name, 1)).toBe("taken");
  });

  it("are taken as they come where nothing announces them", async () => {
    for (let count = 0; count < 3; count += 1) await announce(16 * mebibyte);
    const session = connectHttp2(`http://127.0.0.1:${fixture.grpcPort}`);
    held.push(() => session.destroy());
    session.on("error", () => undefined);
    const stream = session.request({
      ":method": "POST",
      ":path": clearBatch,
      "content-type": "application/grpc",
      te: "trailers",
      ...(await bearer("mallory")),
    });
    stream.on("error", () => undefined);
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(16 * mebibyte, 1);
    stream.write(prefix);
    stream.write(Buffer.alloc(16 * mebibyte - 50_000));
    // Some hundred kilobytes more are too many, few are not.
    await expect.poll(() => batchOf("grpc-js", 2_000), { timeout: 20_000 }).toEqual(tooManyBytes);
    expect(await batchOf("grpc-js", 1)).toBe("taken");
  });

  it("count in full for what is compressed, whatever it weighs", async () => {
    for (let count = 0; count < 3; count += 1) await announce(16 * mebibyte);
    await announce(mebibyte);
    await expect.poll(() => compressedBatch()).toBe(429);
    for (const release of held.splice(0)) release();
    // Nonsense, but read.
    await expect.poll(() => compressedBatch()).toBe(400);
  });
});

async function compressedBatch(): Promise<number> {
  const { status } = await fetch(`http://127.0.0.1:${fixture.connectPort}${clearBatch}`, {
    method: "POST",
    headers: {
      ...(await bearer("alice")),
      "content-type": "application/proto",
      "content-encoding": "gzip",
    },
    body: "0123456789",
  });
  return status;
}

it("has room for a process, and in it for every method", () => {
  expect(runtimeLimits.requestBytes).toBeGreaterThan(ofClearBatch);
});
