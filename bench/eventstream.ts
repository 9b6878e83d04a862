/**
 * Measures EventStream in a process of its own: commit to subscriber, directly and through Envoy, fan-out, catch-up,
 * memory of idle subscribers, requests when nothing happens. Prints a table, and JSON with --json.
 *
 *   node bench/eventstream.ts [--engine embedded|tigerbeetle] [--transfers 200000] [--legs 4] [--seconds 8]
 *     [--json FILE] [--only light|rate|fan-out|idle|catch-up]…
 */

import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-node";
import type { EventStreamClient } from "#common/events-client/follow-events.ts";
import { migrate } from "#common/postgres/migrate.ts";
import { createPool } from "#common/postgres/pool.ts";
import { createRpcClient } from "#common/rpc/client.ts";
import { type EngineConfig, openClient } from "#common/tigerbeetle/open-client.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { table } from "../cli/command/text.ts";
import { startEventStreamEnvoy } from "../test/support/eventstream/envoy.ts";
import {
  type EventStreamProcess,
  startEventStreamProcess,
} from "../test/support/eventstream/process.ts";
import { alice, funding, houseIntentOf } from "../test/support/intents/intents.ts";
import { createSeed } from "../test/support/intents/seed.ts";
import { startPostgres } from "../test/support/postgres/postgres.ts";
import { createTokenIssuer } from "../test/support/rpc/token-issuer.ts";
import { type Books, commitAt, store } from "./commits.ts";
import { cpuSecondsOf, residentMegabytesOf } from "./process-usage.ts";
import { quantiles } from "./quantiles.ts";
import { withBareEngine } from "./world.ts";

const { values: options } = parseArgs({
  options: {
    engine: { type: "string", default: "tigerbeetle" },
    transfers: { type: "string", default: "200000" },
    legs: { type: "string", default: "4" },
    seconds: { type: "string", default: "8" },
    json: { type: "string" },
    only: { type: "string", multiple: true, default: [] },
  },
});
const { engine } = options;
if (engine !== "embedded" && engine !== "tigerbeetle") throw new Error(`no engine ${engine}`);
const legs = Number(options.legs);
const seconds = Number(options.seconds);

/** One line of the table. */
interface Line {
  readonly name: string;
  /** Clearings a second, or transfers of a catch-up. */
  readonly rate?: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  readonly p999Ms?: number;
  /** CPU of the service, percent of one core. */
  readonly cpuPercent: number;
  /** Memory of the service. */
  readonly megabytes: number;
  readonly note?: string;
}

function reportTable(lines: readonly Line[]): string {
  const number = (value: number | undefined, digits: number) => value?.toFixed(digits) ?? "";
  return table([
    ["", "per s", "p50 ms", "p99 ms", "p99.9 ms", "CPU %", "MB", ""],
    ...lines.map((line) => [
      line.name,
      number(line.rate, 0),
      number(line.p50Ms, 2),
      number(line.p99Ms, 2),
      number(line.p999Ms, 2),
      number(line.cpuPercent, 0),
      number(line.megabytes, 0),
      line.note ?? "",
    ]),
  ]);
}

/** What one run of the bench works with. */
interface World extends Books {
  readonly service: EventStreamProcess;
  /** A new connection each, over gRPC or gRPC-Web, directly or through Envoy. */
  connect(way: Way): EventStreamClient & Partial<Disposable>;
}

type Way = "direct" | "Envoy, gRPC" | "Envoy, gRPC-Web";

/** How long a service and its subscribers work before they are measured: the first calls of a process are slow. */
const warmUpSeconds = 2;

/** So many streams share a connection. */
const streamsPerConnection = 100;

interface LatencyOptions {
  readonly name: string;
  readonly way: Way;
  readonly subscribers: number;
  readonly perSecond: number;
}

async function latency(world: World, options: LatencyOptions): Promise<Line> {
  const { name, way, subscribers, perSecond } = options;
  const arrivals = new Map<string, number[]>();
  const controller = new AbortController();
  const connections: (EventStreamClient & Partial<Disposable>)[] = [];
  const opened: Promise<void>[] = [];
  for (let index = 0; index < subscribers; index += 1) {
    if (index % streamsPerConnection === 0) connections.push(world.connect(way));
    const client = connections.at(-1);
    if (client !== undefined) opened.push(listen(client, arrivals, controller.signal));
  }
  await Promise.all(opened);
  await commitAt(world, perSecond, warmUpSeconds);
  const cpu = cpuSecondsOf(world.service.pid);
  const committed = await commitAt(world, perSecond, seconds);
  const cpuUsed = cpuSecondsOf(world.service.pid) - cpu;
  const megabytes = residentMegabytesOf(world.service.pid);
  await sleep(1_500);
  controller.abort();
  for (const connection of connections) connection[Symbol.dispose]?.();
  const lags = [...committed.at].flatMap(([intentId, at]) =>
    (arrivals.get(intentId) ?? []).map((arrival) => arrival - at),
  );
  const told = committed.at.size * subscribers;
  const missing = told - lags.length;
  return {
    name,
    rate: committed.perSecond,
    ...quantiles(lags.toSorted((a, b) => a - b)),
    cpuPercent: (cpuUsed / seconds) * 100,
    megabytes,
    ...(missing === 0 ? {} : { note: `${missing} of ${told} came late` }),
  };
}

/** Resolves once the stream is open; then notes when which intent arrived. */
function listen(
  client: EventStreamClient,
  arrivals: Map<string, number[]>,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const run = async () => {
      for await (const { message } of client.subscribe({}, { signal })) {
        const nowMs = performance.now();
        if (message.case === "opened") resolve();
        if (message.case !== "event") continue;
        const known = arrivals.get(message.value.intentId);
        if (known === undefined) arrivals.set(message.value.intentId, [nowMs]);
        else known.push(nowMs);
      }
    };
    run().catch(reject);
  });
}

/** From the first event to the bookmark that says that this is all. */
async function catchUp(world: World): Promise<Line> {
  const client = world.connect("direct");
  const cpu = cpuSecondsOf(world.service.pid);
  const startMs = performance.now();
  const controller = new AbortController();
  let transfers = 0;
  const start = { case: "earliest", value: true } as const;
  for await (const { message } of client.subscribe({ start }, { signal: controller.signal })) {
    if (message.case === "event") transfers += message.value.transfers.length;
    if (message.case === "bookmark" && transfers >= Number(options.transfers)) break;
  }
  const tookSeconds = (performance.now() - startMs) / 1_000;
  controller.abort();
  client[Symbol.dispose]?.();
  return {
    name: "catch-up, transfers",
    rate: transfers / tookSeconds,
    cpuPercent: ((cpuSecondsOf(world.service.pid) - cpu) / tookSeconds) * 100,
    megabytes: residentMegabytesOf(world.service.pid),
    note: `${transfers} in ${tookSeconds.toFixed(1)} s`,
  };
}

async function idle(world: World, subscribers: number): Promise<Line> {
  const { service } = world;
  const before = residentMegabytesOf(service.pid);
  const controller = new AbortController();
  const client = world.connect("direct");
  const opened = Array.from({ length: subscribers }, async () => {
    const stream = client.subscribe({}, { signal: controller.signal })[Symbol.asyncIterator]();
    await stream.next();
    stream.next().catch(() => undefined);
  });
  await Promise.all(opened);
  const [requests, cpu] = [await ledgerRequests(service), cpuSecondsOf(service.pid)];
  await sleep(5_000);
  const more = residentMegabytesOf(service.pid) - before;
  const line = {
    name: `${subscribers} idle subscribers`,
    cpuPercent: ((cpuSecondsOf(service.pid) - cpu) / 5) * 100,
    megabytes: residentMegabytesOf(service.pid),
    note:
      `${more.toFixed(0)} MB more, ${((more * 1_024) / subscribers).toFixed(1)} KB each; ` +
      `${(((await ledgerRequests(service)) - requests) / 5).toFixed(1)} rounds/s`,
  };
  controller.abort();
  client[Symbol.dispose]?.();
  return line;
}

async function ledgerRequests({ metricsPort }: EventStreamProcess): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  return Number(/eventstream_round_seconds_count\S* (\d+)/.exec(text)?.[1] ?? 0);
}

const ways: readonly Way[] = ["direct", "Envoy, gRPC", "Envoy, gRPC-Web"];

/** Every measure; those of one name run together. What fills the ledger comes last. */
const measures: readonly (readonly [string, (world: World) => Promise<Line>])[] = [
  ...ways.map(
    (way) =>
      [
        "light",
        (world: World) =>
          latency(world, { name: `light load, ${way}`, way, subscribers: 1, perSecond: 25 }),
      ] as const,
  ),
  ...ways.flatMap((way) =>
    [200, 1_000].map(
      (perSecond) =>
        [
          "rate",
          (world: World) =>
            latency(world, { name: `${perSecond}/s, ${way}`, way, subscribers: 1, perSecond }),
        ] as const,
    ),
  ),
  ...[
    [10, 100],
    [100, 20],
    [1_000, 4],
  ].map(
    ([subscribers = 0, perSecond = 0]) =>
      [
        "fan-out",
        (world: World) =>
          latency(world, { name: `to ${subscribers}`, way: "direct", subscribers, perSecond }),
      ] as const,
  ),
  ["idle", (world) => idle(world, 1_000)],
  [
    "catch-up",
    async (world) => {
      await store(world, Number(options.transfers));
      return catchUp(world);
    },
  ],
  ["catch-up", catchUp],
];

async function runAll(config: EngineConfig): Promise<Line[]> {
  await using stack = new AsyncDisposableStack();
  const postgres = await startPostgres();
  stack.defer(() => postgres.stop());
  const { databaseUrl } = postgres;
  const pool = createPool({ databaseUrl, applicationName: "bench" });
  stack.defer(() => pool.end());
  await migrate(pool, "clearing", new URL("../services/clearing/migrations/", import.meta.url));
  const ledger = await openClient(config);
  stack.defer(() => ledger.destroy());
  const seed = createSeed(ledger, pool);
  await seed.openChart();
  await seed.openWallets([alice.address]);
  await seed.clear(houseIntentOf({ postings: [funding(alice.address, 10n ** 12n)] }));
  using issuer = await createTokenIssuer();
  const service = await startEventStreamProcess({
    engine: config,
    databaseUrl,
    issuer,
    // All its subscribers are one subject.
    env: { STREAMS_PER_SUBJECT_MAX: "10000" },
  });
  stack.defer(() => service.stop());
  const envoy = await startEventStreamEnvoy([service], issuer.jwksPath);
  stack.defer(() => envoy.stop());
  const token = await issuer.token({ scope: "events.read" });
  const world: World = {
    service,
    ledger,
    pool,
    batchMax: config.batchMax,
    legs,
    connect: (way) => connect(way, { direct: service.address, envoy: envoy.address, token }),
  };
  const lines: Line[] = [];
  for (const [id, measure] of measures) {
    if (options.only.length > 0 && !options.only.includes(id)) continue;
    lines.push(await measure(world));
    process.stderr.write(`${lines.at(-1)?.name}: done\n`);
  }
  return lines;
}

function connect(
  way: Way,
  to: { readonly direct: string; readonly envoy: string; readonly token: string },
): EventStreamClient & Partial<Disposable> {
  if (way !== "Envoy, gRPC-Web") {
    const address = way === "direct" ? to.direct : to.envoy;
    const token = async () => to.token;
    return createRpcClient(EventStreamService, { address, defaultTimeoutMs: 20_000, token });
  }
  const transport = createGrpcWebTransport({
    baseUrl: `http://${to.envoy}`,
    httpVersion: "1.1",
    interceptors: [
      (next) => (request) => {
        request.header.set("authorization", `Bearer ${to.token}`);
        return next(request);
      },
    ],
  });
  return createClient(EventStreamService, transport);
}

const lines = await withBareEngine(engine, runAll);
console.log(`EventStream on ${engine}, ${legs} legs an intent; from commit to subscriber`);
console.log(reportTable(lines));
if (options.json !== undefined) {
  writeFileSync(options.json, `${JSON.stringify({ engine, legs, seconds, lines }, null, 2)}\n`);
}
process.exit();
