import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** What a socket heard, and how it ended. */
export interface SocketEnd {
  readonly heard: string;
  /** True if the other side ended it within the time. */
  readonly isEnded: boolean;
}

/** A connection on which bytes are sent as they are. */
export async function openSocket(address: string): Promise<Socket> {
  const [host = "", port] = address.split(":");
  const socket = connect({ host, port: Number(port) });
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

export interface ExchangeTimes {
  /** After each piece that is sent. */
  readonly pauseMs: number;
  readonly endsWithinMs: number;
  /** What was waited for: nothing more is sent or read once it has come. */
  readonly until?: RegExp;
}

/** Sends bytes and reads until the other side ends it, all was heard that is waited for, or the time is over. */
export async function exchange(
  address: string,
  pieces: Iterable<Uint8Array | string>,
  { pauseMs, endsWithinMs, until }: ExchangeTimes,
): Promise<SocketEnd> {
  const socket = await openSocket(address);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  let heard = "";
  socket.on("data", (chunk: Buffer) => {
    heard += chunk.toString("latin1");
    if (until?.test(heard) === true) resolve(false);
  });
  socket.once("close", () => resolve(true));
  const late = setTimeout(() => resolve(false), endsWithinMs);
  void send(socket, pieces, pauseMs);
  const isEnded = await promise;
  clearTimeout(late);
  socket.destroy();
  return { heard, isEnded };
}

/** Until the other side is full or gone. */
async function send(
  socket: Socket,
  pieces: Iterable<Uint8Array | string>,
  pauseMs: number,
): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed || !socket.writable) return;
    if (!socket.write(piece)) await drained(socket);
    if (pauseMs > 0) await sleep(pauseMs);
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once("drain", resolve);
    socket.once("close", () => resolve());
  });
}

/** What HTTP/1.1 answers to a request that is sent letter by letter as it stands, until the connection is over. */
export async function askRaw(address: string, request: string): Promise<string> {
  const { heard } = await exchange(address, [request], { pauseMs: 0, endsWithinMs: 60_000 });
  return heard;
}

/** A frame of HTTP/2. */
export function http2Frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.byteLength, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** What every client says first: the preface, and settings without any. */
export const http2Start = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  http2Frame(4, 0, 0),
]);

/** The places of names in HPACK's static table. */
const places = { path: 4, "content-type": 31, authorization: 23 } as const;

/** A POST over HTTP/2 with no body but an empty message of gRPC. */
export function http2Call(
  stream: number,
  headers: Readonly<Record<keyof typeof places, string>>,
): Buffer {
  // :method POST, :scheme http, :authority x
  const block = [Buffer.from([0x83, 0x86, 0x01, 0x01, 0x78])];
  for (const [name, value] of Object.entries(headers)) {
    const place = places[name as keyof typeof places];
    // A name by its place, never indexed; from 15 on the place needs a byte of its own.
    const head = place < 15 ? [place] : [15, place - 15];
    block.push(Buffer.from([...head, value.length]), Buffer.from(value));
  }
  const body = http2Frame(0, 1, stream, Buffer.alloc(5));
  return Buffer.concat([http2Frame(1, 4, stream, Buffer.concat(block)), body]);
}
