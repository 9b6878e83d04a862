// Goal: subscribers who never read, read one message a second, or vanish without a word cost the others no time and the
// process no memory. Method: the service in a process of its own under large events; the process's memory, and the lag
// of attentive subscribers in short windows, by turns with and without one of each bad kind, who start far in the past;
// the best and the middle windows of each kind are compared.
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { clearedChannel } from "#common/postgres/evidence.ts";
import { createRpcClient, type RpcClient } from "#common/rpc/client.ts";
import {
  EventStreamService,
  type SubscribeResponse,
} from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import {
  type EventStreamProcess,
  startEventStreamProcess,
} from "../support/eventstream/process.ts";
import { type EventStreamWorld, startEventStreamWorld } from "../support/eventstream/world.ts";
import { alice, funding, houseIntentOf, intentOf, purchase } from "../support/intents/intents.ts";
import { engines } from "../support/ledger/tigerbeetle.ts";
import { startTcpProxy, type TcpProxy } from "../support/rpc/tcp-proxy.ts";
import { createTokenIssuer, type TokenIssuer } from "../support/rpc/token-issuer.ts";

const liveLegs = 16;
const startMs = 180_000;
/** Enough to fill the ring, so that it no longer grows while memory is measured. */
const pastEvents = 1_050;
const pastLegs = 64;
/** Long enough to fill the ring with what is new, and the process with what it needs anyway. */
const warmUpMs = 3_000;
const windowMs = 1_500;
/** After they began: until then they read on as anyone would, which costs what anyone costs. */
const settleMs = 700;
const pauseMs = 10;
/** So many windows of each kind, and more while one kind looks slow: on a busy machine it may by chance. */
const windowsMin = 2;
const windowsMax = 20;
/** The lag of those who listen may rise by half; below these many milliseconds a rise is none. */
const medianFloorMs = 4;
const tailFloorMs = 20;
const growthMbMax = 64;

let world: EventStreamWorld;
let issuer: TokenIssuer;
let service: EventStreamProcess;
let proxy: TcpProxy;
const clients: Disposable[] = [];

const engine = engines.find(({ name }) => name === "embedded");

beforeAll(async () => {
  if (engine === undefined) throw new Error("the embedded engine is always there");
  world = await startEventStreamWorld(engine);
  await world.seed.openWallets([alice.address]);
  await world.seed.clear(houseIntentOf({ postings: [funding(alice.address, 10n ** 9n)] }));
  issuer = await createTokenIssuer();
  const { databaseUrl } = world.records;
  service = await startEventStreamProcess({ engine: world.engine.config, databaseUrl, issuer });
  proxy = await startTcpProxy(service.address);
  for (let events = 0; events < pastEvents; events += 30) {
    await world.seed.clearAll(Array.from({ length: 30 }, () => largeIntent(pastLegs)));
  }
}, startMs);

afterAll(async () => {
  for (const client of clients) client[Symbol.dispose]();
  await proxy?.stop();
  await service?.stop();
  issuer?.[Symbol.dispose]();
  await world?.stop();
});

function largeIntent(legs: number) {
  return intentOf({ postings: Array.from({ length: legs }, () => purchase(alice.address, 1n)) });
}

/** Each its own connection, so that none shares another's flow control. */
async function connect(address: string): Promise<RpcClient<typeof EventStreamService>> {
  const token = await issuer.token({ scope: "events.read" });
  const client = createRpcClient(EventStreamService, {
    address,
    defaultTimeoutMs: 10_000,
    token: async () => token,
  });
  clients.push(client);
  return client;
}

const listeners = 3;
const earliest = { start: { case: "earliest", value: true } } as const;

/** Notes when which intent arrived, from now on. */
async function listen(arrivals: Map<string, number[]>): Promise<void> {
  const stream = (await connect(service.address)).subscribe({})[Symbol.asyncIterator]();
  await stream.next();
  const run = async () => {
    for (let result = await stream.next(); !result.done; result = await stream.next()) {
      const { message } = result.value;
      if (message.case !== "event") continue;
      const { intentId } = message.value;
      arrivals.set(intentId, [...(arrivals.get(intentId) ?? []), performance.now()]);
    }
  };
  run().catch(() => undefined);
}

/** Milliseconds from commit to a listener, in one window. */
interface Lag {
  readonly median: number;
  /** The 99th percentile. */
  readonly tail: number;
}

/** Commits for a while and tells the lag of all listeners. Fails if one of them was not told of each event. */
async function lagUnderLoad(arrivals: Map<string, number[]>, forMs: number): Promise<Lag> {
  const committed = new Map<string, number>();
  for (const endMs = performance.now() + forMs; performance.now() < endMs; ) {
    const { intent } = await world.seed.clear(largeIntent(liveLegs));
    committed.set(intent.intentId, performance.now());
    await world.pool.query(`notify ${clearedChannel}`);
    await sleep(pauseMs);
  }
  const told = () => [...committed.keys()].map((intentId) => arrivals.get(intentId)?.length ?? 0);
  await expect.poll(told).toEqual(Array(committed.size).fill(listeners));
  const lags = [...committed].flatMap(([intentId, atMs]) =>
    (arrivals.get(intentId) ?? []).map((arrivalMs) => Math.max(0, arrivalMs - atMs)),
  );
  return { median: percentile(lags, 0.5), tail: percentile(lags, 0.99) };
}

function percentile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(share * (values.length - 1))] ?? 0;
}

function amongWindows(windows: readonly Lag[], of: keyof Lag, share: number): number {
  return percentile(
    windows.map((lag) => lag[of]),
    share,
  );
}

/**
 * Whether both the best window and the middle one are worse with those who do not read: whoever holds the others up does
 * it in every window, unlike the rest of the machine.
 */
function isHeldUp(alone: readonly Lag[], together: readonly Lag[]): boolean {
  const rose = (of: keyof Lag, floorMs: number) =>
    [0, 0.5].every((share) => {
      const limitMs = Math.max(1.5 * amongWindows(alone, of, share), floorMs);
      return amongWindows(together, of, share) > limitMs;
    });
  return rose("median", medianFloorMs) || rose("tail", tailFloorMs);
}

type Stream = AsyncIterator<SubscribeResponse>;

/** Someone who has begun to read the past, on a connection of his own. */
async function begin(address: string): Promise<{ stream: Stream; end: () => void }> {
  const client = await connect(address);
  const controller = new AbortController();
  const { signal } = controller;
  const stream = client.subscribe(earliest, { signal })[Symbol.asyncIterator]();
  await stream.next();
  const end = () => {
    controller.abort();
    client[Symbol.dispose]();
  };
  return { stream, end };
}

async function readOn(stream: Stream, everyMs = 0): Promise<void> {
  while (!(await stream.next()).done) await sleep(everyMs);
}

/** One of each bad kind. Call the result to be rid of them. */
async function misbehave(): Promise<() => void> {
  const neverReads = await begin(service.address);
  const readsSlowly = await begin(service.address);
  readOn(readsSlowly.stream, 1_000).catch(() => undefined);
  // Reads on and on, until the network no longer brings anything, nor says so.
  const vanishes = await begin(`127.0.0.1:${proxy.port}`);
  for (let messages = 0; messages < 20; messages += 1) await vanishes.stream.next();
  readOn(vanishes.stream).catch(() => undefined);
  proxy.stall();
  return () => {
    for (const { end } of [neverReads, readsSlowly, vanishes]) end();
    proxy.cut();
    proxy.flow();
  };
}

function memoryMb(): number {
  const status = readFileSync(`/proc/${service.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1_024;
}

const reason = existsSync("/proc/self/status") ? "" : " (skipped: no /proc to read memory from)";

test.skipIf(reason !== "")(
  `nobody pays for those who do not read${reason}`,
  async () => {
    const arrivals = new Map<string, number[]>();
    for (let count = 0; count < listeners; count += 1) await listen(arrivals);
    await lagUnderLoad(arrivals, warmUpMs);
    const before = memoryMb();
    let growth: number | undefined;

    const alone: Lag[] = [];
    const together: Lag[] = [];
    do {
      const behave = await misbehave();
      await lagUnderLoad(arrivals, settleMs);
      together.push(await lagUnderLoad(arrivals, windowMs));
      growth ??= memoryMb() - before;
      behave();
      alone.push(await lagUnderLoad(arrivals, windowMs));
    } while (alone.length < windowsMin || (alone.length < windowsMax && isHeldUp(alone, together)));

    const words = (lags: readonly Lag[]) =>
      (["median", "tail"] as const)
        .map((of) => [0, 0.5].map((share) => amongWindows(lags, of, share).toFixed(1)).join("–"))
        .join(" / ");
    console.log(
      `p50 / p99 lag ${words(alone)} ms alone, ${words(together)} ms with three who do not read, ${alone.length} windows ` +
        `each; memory ${before.toFixed(0)} MB, then ${growth.toFixed(0)} MB more`,
    );
    expect(isHeldUp(alone, together)).toBe(false);
    expect(growth).toBeLessThanOrEqual(growthMbMax);
  },
  180_000,
);
