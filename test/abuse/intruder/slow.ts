import { existsSync, readFileSync } from "node:fs";
import { createClient } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, it } from "vitest";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import {
  exchange,
  http2Frame,
  http2Start,
  openSocket,
  type SocketEnd,
} from "../../support/abuse/raw-sockets.ts";
import type { TestMesh } from "../../support/mesh/mesh.ts";

/** Generous: headers have ten seconds, a request of this method twenty. */
const endsWithinMs = 110_000;
const idleConnections = 2_000;

const headers = (token: string) =>
  `POST /sovr.clearing.v1.ClearingService/Clear HTTP/1.1\r\nhost: mesh\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\n`;

/** One byte after the other, for ever. */
function* trickle(start: string): Generator<string> {
  yield start;
  for (;;) yield "x";
}

/** Frames that never end what they began: HEADERS without its end, then CONTINUATION without one. */
function* continuations(): Generator<Buffer> {
  yield http2Start;
  yield http2Frame(1, 0, 1, Buffer.from([0x82]));
  const more = http2Frame(9, 0, 1, Buffer.alloc(16_000));
  for (let count = 0; count < 4_000; count += 1) yield more;
}

/** Frames that ask for an answer each, and those that open a stream and take it back. */
function* repeated(frame: (index: number) => Buffer, count: number): Generator<Buffer> {
  yield http2Start;
  for (let index = 0; index < count; index += 1) yield frame(index);
}

const ping = () => http2Frame(6, 0, 0, Buffer.alloc(8));
const settings = () => http2Frame(4, 0, 0);
/** `:method POST`, `:scheme http`, `:path /`, and RST_STREAM with CANCEL. */
const reset = (index: number) =>
  Buffer.concat([
    http2Frame(1, 5, 2 * index + 1, Buffer.from([0x83, 0x86, 0x84])),
    http2Frame(3, 0, 2 * index + 1, Buffer.from([0, 0, 0, 8])),
  ]);

const slowNames = [
  "headers that trickle, at the edge",
  "headers that trickle, at a service",
  "a connection that says nothing, at a service",
  "a body that trickles, at the edge",
  "a body that trickles, at a service",
] as const;

/** Connections under way that take their time. */
export type Slow = Readonly<Record<(typeof slowNames)[number], Promise<SocketEnd>>>;

/** Begins with what takes its time, so that all else is tried beside it. */
export async function beginSlow(mesh: TestMesh): Promise<Slow> {
  const token = await mesh.token({ subject: "sloth" });
  const { connect } = mesh.services.clearing;
  const times = { pauseMs: 500, endsWithinMs };
  const answered = { ...times, until: /NOT_SENT/ };
  const start = `${headers(token)}x-slow: `;
  const body = `${headers(token)}content-length: 1000000\r\n\r\n{`;
  return {
    "headers that trickle, at the edge": exchange(mesh.address, trickle(start), times),
    "headers that trickle, at a service": exchange(connect, trickle(start), times),
    "a connection that says nothing, at a service": exchange(connect, [], times),
    "a body that trickles, at the edge": exchange(mesh.address, trickle(body), answered),
    "a body that trickles, at a service": exchange(connect, trickle(body), answered),
  };
}

/** Tests that connections which never come to the point are ended, and that nobody waits for them meanwhile. */
export function testSlow(meshOf: () => TestMesh, slowOf: () => Slow): void {
  const idle: Awaited<ReturnType<typeof openSocket>>[] = [];

  beforeAll(async () => {
    const { address } = meshOf();
    // A connection is a descriptor for the client too; a machine may not let it have so many.
    for (let count = 0; count < idleConnections; count += 100) {
      const opened = Array.from({ length: 100 }, () => openSocket(address));
      for (const socket of await Promise.allSettled(opened))
        if (socket.status === "fulfilled") idle.push(socket.value);
    }
  });
  afterAll(() => {
    for (const socket of idle) socket.destroy();
  });

  it(`serves beside ${idleConnections} connections that say nothing`, async () => {
    expect(idle.length).toBeGreaterThan(idleConnections / 2);
    await isServed(meshOf());
  });

  const floods = [
    ["headers that never end", () => continuations()],
    ["pings", () => repeated(ping, 200_000)],
    ["settings", () => repeated(settings, 200_000)],
    ["streams that are taken back", () => repeated(reset, 50_000)],
  ] as const;
  it.each(floods)(
    "a connection of nothing but %s hurts neither edge nor services",
    async (_name, frames) => {
      const mesh = meshOf();
      const { grpc, connect } = mesh.services.ledger;
      // Whether each is cut or heard to its end is the server's choice.
      const flooded = [mesh.address, grpc, connect].map((address) =>
        exchange(address, frames(), { pauseMs: 0, endsWithinMs: 1_000 }),
      );
      await isServed(mesh);
      await Promise.all(flooded);
      await isServed(mesh);
      for (const part of ["envoy", "ledger"]) expect(megabytesOf(mesh, part)).toBeLessThan(700);
    },
  );

  it.each(slowNames)("%s, come to an end", async (name) => {
    const end = await slowOf()[name];
    // Who has sent enough to be answered is told why, and the service has forgotten him.
    if (name.includes("body")) expect(end.heard).toContain("NOT_SENT");
    else expect(end.isEnded, end.heard).toBe(true);
  });
}

/** Somebody else reads, through the edge. */
async function isServed(mesh: TestMesh): Promise<void> {
  const ledger = createClient(LedgerService, mesh.client().transport);
  expect((await ledger.listAssets({})).assets.length).toBeGreaterThan(0);
}

function megabytesOf(mesh: TestMesh, part: string): number {
  const status = `/proc/${mesh.part(part).pid}/status`;
  if (!existsSync(status)) return 0;
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(status, "utf8"))?.[1]) / 1_024;
}
