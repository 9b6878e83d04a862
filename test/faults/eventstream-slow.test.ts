// Goal: subscribers who never read, read one message a second, or vanish without a word cost the others no time and the
// process no memory. Method: the service in a process of its own under large events; the lag of attentive subscribers
// and the process's memory, first without and then with one of each bad kind, who start far in the past.
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { clearedChannel } from "#common/postgres/evidence.ts";
import { createRpcClient, type RpcClient } from "#common/rpc/client.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import {
  type EventStreamProcess,
  startEventStreamProcess,
} from "../support/event-stream-process.ts";
import { type EventStreamWorld, startEventStreamWorld } from "../support/event-stream-world.ts";
import { alice, funding, houseIntentOf, intentOf, purchase } from "../support/intents.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";
import { engines } from "../support/tigerbeetle.ts";
import { createTokenIssuer, type TokenIssuer } from "../support/token-issuer.ts";

const legs = 16;
/** Enough to fill the ring, so that it no longer grows while memory is measured. */
const pastEvents = 4_200;
const phaseMs = 6_000;
const pauseMs = 10;
/** A busy machine alone may cost this much; one who held the others up would cost seconds, up to thirty. */
const lagFloorMs = 1_000;
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
  const { databaseUrl } = world.postgres;
  service = await startEventStreamProcess({ engine: world.engine.config, databaseUrl, issuer });
  proxy = await startTcpProxy(service.address);
  for (let events = 0; events < pastEvents; events += 64) {
    await world.seed.clearAll(Array.from({ length: 64 }, largeIntent));
  }
});

afterAll(async () => {
  for (const client of clients) client[Symbol.dispose]();
  await proxy?.stop();
  await service?.stop();
  issuer?.[Symbol.dispose]();
  await world?.stop();
});

function largeIntent() {
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

/** The 99th percentile of the time from commit to each listener, in milliseconds. Fails if one was not told. */
async function lagUnderLoad(arrivals: Map<string, number[]>, listeners: number): Promise<number> {
  const committed = new Map<string, number>();
  for (const endMs = performance.now() + phaseMs; performance.now() < endMs; ) {
    const { intent } = await world.seed.clear(largeIntent());
    committed.set(intent.intentId, performance.now());
    await world.pool.query(`notify ${clearedChannel}`);
    await sleep(pauseMs);
  }
  await sleep(1_000);
  const lags = [...committed].flatMap(([intentId, atMs]) =>
    (arrivals.get(intentId) ?? []).map((arrivalMs) => Math.max(0, arrivalMs - atMs)),
  );
  expect(lags).toHaveLength(committed.size * listeners);
  return lags.toSorted((a, b) => a - b)[Math.floor(0.99 * lags.length)] ?? 0;
}

async function neverRead(): Promise<void> {
  const stream = (await connect(service.address)).subscribe(earliest)[Symbol.asyncIterator]();
  await stream.next();
}

async function readSlowly(): Promise<void> {
  const stream = (await connect(service.address)).subscribe(earliest)[Symbol.asyncIterator]();
  const run = async () => {
    while (!(await stream.next()).done) await sleep(1_000);
  };
  run().catch(() => undefined);
}

/** Reads on and on, until the network no longer brings anything, nor says so. */
async function vanish(): Promise<void> {
  const stream = (await connect(`127.0.0.1:${proxy.port}`)).subscribe(earliest);
  const iterator = stream[Symbol.asyncIterator]();
  for (let messages = 0; messages < 20; messages += 1) await iterator.next();
  const run = async () => {
    while (!(await iterator.next()).done);
  };
  run().catch(() => undefined);
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
    const listeners = 3;
    for (let count = 0; count < listeners; count += 1) await listen(arrivals);
    // Once for nothing: the ring fills, and the process takes the memory that it needs anyway.
    await lagUnderLoad(arrivals, listeners);
    const alone = await lagUnderLoad(arrivals, listeners);
    const before = memoryMb();

    await Promise.all([neverRead(), readSlowly(), vanish()]);
    proxy.stall();
    const together = await lagUnderLoad(arrivals, listeners);
    const growth = memoryMb() - before;

    console.log(
      `p99 lag ${alone.toFixed(1)} ms alone, ${together.toFixed(1)} ms with three who do not read; ` +
        `memory ${before.toFixed(0)} MB, then ${growth.toFixed(0)} MB more`,
    );
    expect(together).toBeLessThanOrEqual(Math.max(1.5 * alone, lagFloorMs));
    expect(growth).toBeLessThanOrEqual(growthMbMax);
  },
  60_000,
);
