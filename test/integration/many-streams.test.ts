// Goal: one Envoy before one EventStream carries as many subscribers as the service takes, they all hear what is new, and one
// more is refused by the service, with its reason. Method: the real Envoy and the service in processes of their own; bare
// HTTP/2 clients, a hundred streams each, in every protocol that frames messages. MANY_STREAMS=10000 opens the documented
// number, which takes some minutes; by default there are more than Envoy would carry if nobody told it otherwise.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";
import {
  SubscribeRequestSchema,
  WatchBalancesRequestSchema,
} from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { type EventStreamEnvoy, startEventStreamEnvoy } from "../support/eventstream/envoy.ts";
import {
  type EventStreamProcess,
  startEventStreamProcess,
} from "../support/eventstream/process.ts";
import { type EventStreamWorld, startEventStreamWorld } from "../support/eventstream/world.ts";
import { alice, chart, funding, houseIntentOf } from "../support/intents/intents.ts";
import { engines } from "../support/ledger/tigerbeetle.ts";
import { createTokenIssuer, type TokenIssuer } from "../support/rpc/token-issuer.ts";

const streams = Number(process.env["MANY_STREAMS"] ?? 1_200);
/** What the edge allows on one connection, and a service of one subject. */
const perConnection = 100;
const perSubject = 32;
const patienceMs = 120_000 + streams * 60;

let world: EventStreamWorld;
let issuer: TokenIssuer;
let service: EventStreamProcess;
let envoy: EventStreamEnvoy;
const sessions: ClientHttp2Session[] = [];

beforeAll(async () => {
  const engine = engines.find(({ name }) => name === "embedded");
  if (engine === undefined) throw new Error("the embedded engine is always there");
  world = await startEventStreamWorld(engine);
  await world.seed.openWallets([alice.address]);
  issuer = await createTokenIssuer();
  service = await startEventStreamProcess({
    engine: world.engine.config,
    databaseUrl: world.records.databaseUrl,
    issuer,
    env: { SUBSCRIBERS_MAX: String(streams) },
  });
  envoy = await startEventStreamEnvoy([service], issuer.jwksPath);
});

afterAll(async () => {
  for (const session of sessions) session.destroy();
  await envoy?.stop();
  await service?.stop();
  issuer?.[Symbol.dispose]();
  await world?.stop();
});

function frame<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): Buffer {
  const bytes = toBinary(schema, create(schema, message));
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(bytes.byteLength, 1);
  return Buffer.concat([prefix, bytes]);
}

const calls = [
  ["Subscribe", frame(SubscribeRequestSchema, { heartbeatInterval: { seconds: 60n } })],
  ["WatchBalances", frame(WatchBalancesRequestSchema, { accountIds: [String(chart.cash)] })],
] as const;
const contentTypes = [
  "application/grpc",
  "application/connect+proto",
  "application/grpc-web+proto",
];

interface Opened {
  readonly stream: ClientHttp2Stream;
  /** Messages so far. Heartbeats count, so a test waits for more than were there. */
  readonly messages: () => number;
}

/** Opens the stream of a number; resolves with its first message. UNAVAILABLE is what a busy machine answers: once more. */
async function open(index: number): Promise<Opened> {
  for (const endMs = Date.now() + patienceMs; ; ) {
    const { opened, why } = await attempt(index);
    if (opened.messages() > 0) return opened;
    if (!unavailable.test(why) || Date.now() > endMs) {
      throw new Error(`stream ${index} ended before its first message: ${why}`);
    }
    await sleep(500);
  }
}

/** UNAVAILABLE of the service, DEADLINE_EXCEEDED of the edge, in each protocol. */
const unavailable =
  /"grpc-status":"(14|4)"|grpc-status: (14|4)\b|"code":"(unavailable|deadline_exceeded)"/;

async function attempt(index: number) {
  const session = sessions[Math.floor(index / perConnection)];
  const [method, request] = calls[index % calls.length] ?? calls[0];
  const subject = `subscriber ${Math.floor(index / perSubject)}`;
  const stream = (session ?? newSession()).request({
    ":method": "POST",
    ":path": `/sovr.eventstream.v1.EventStreamService/${method}`,
    "content-type": contentTypes[index % contentTypes.length],
    te: "trailers",
    authorization: `Bearer ${await tokenOf(subject)}`,
  });
  let messages = 0;
  let headers: Readonly<Record<string, unknown>> = {};
  stream.on("response", (received) => {
    headers = received;
  });
  stream.on("error", () => undefined);
  let end = "";
  stream.on("data", (chunk: Buffer) => {
    // Every message comes alone; a frame with flags is the end, and says why.
    if (chunk[0] === 0) messages += 1;
    else end = chunk.toString("latin1");
  });
  stream.end(request);
  await Promise.race([once(stream, "data"), once(stream, "close")]);
  const opened: Opened = { stream, messages: () => messages };
  return { opened, why: `${JSON.stringify(headers)} ${end}` };
}

function newSession(): ClientHttp2Session {
  const session = connect(`http://${envoy.address}`).on("error", () => undefined);
  sessions.push(session);
  return session;
}

const tokens = new Map<string, Promise<string>>();
function tokenOf(subject: string): Promise<string> {
  const token = tokens.get(subject) ?? issuer.token({ scope: "events.read", subject });
  tokens.set(subject, token);
  return token;
}

test(
  `carries ${streams} streams, all of which hear what is new, and refuses one more with a reason`,
  async () => {
    const opened: Opened[] = [];
    for (let index = 0; index < streams; index += perConnection) {
      // Not before it is needed: the edge closes a connection that has nothing to do.
      newSession();
      const count = Math.min(perConnection, streams - index);
      const indices = Array.from({ length: count }, (_, offset) => index + offset);
      opened.push(...(await Promise.all(indices.map(open))));
    }
    await expect.poll(subscribers).toBe(streams);
    const before = opened.map(({ messages }) => messages());
    await world.seed.clear(houseIntentOf({ postings: [funding(alice.address, 100n)] }));
    const heard = () =>
      opened.filter(({ messages }, index) => messages() > (before[index] ?? 0)).length;
    await expect.poll(heard, { timeout: patienceMs, interval: 250 }).toBe(streams);
    expect(opened.filter(({ stream }) => stream.closed)).toEqual([]);

    expect(await refusalOf(newSession())).toEqual({
      reason: "LIMIT_EXCEEDED",
      metadata: { limit: String(streams), what: "subscribers" },
    });
    if (process.env["MANY_STREAMS"] !== undefined) {
      const megabytes = Number(/VmRSS:\s+(\d+)/.exec(statusOf(service.pid))?.[1]) / 1_024;
      console.log(`EventStream holds ${megabytes.toFixed(0)} MB with ${streams} streams`);
    }
  },
  patienceMs * 2,
);

function statusOf(pid: number): string {
  return readFileSync(`/proc/${pid}/status`, "utf8");
}

async function subscribers(): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${service.metricsPort}/metrics`)).text();
  const counts = [...text.matchAll(/^eventstream_subscribers\{?[^ ]* (\d+)/gm)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

/** Why one more gRPC stream is refused. */
async function refusalOf(session: ClientHttp2Session) {
  const [method, request] = calls[0];
  const stream = session.request({
    ":method": "POST",
    ":path": `/sovr.eventstream.v1.EventStreamService/${method}`,
    "content-type": "application/grpc",
    te: "trailers",
    authorization: `Bearer ${await tokenOf("one more")}`,
  });
  stream.end(request);
  const [headers] = (await once(stream, "response")) as [Record<string, string>];
  session.destroy();
  const details = headers["grpc-status-details-bin"] ?? "";
  const [info] = fromBinary(StatusSchema, Buffer.from(details, "base64")).details;
  const { reason, metadata } = fromBinary(ErrorInfoSchema, info?.value ?? new Uint8Array());
  return { reason, metadata };
}
