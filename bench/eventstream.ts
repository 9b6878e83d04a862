/**
 * Measures EventStream in a process of its own: commit to subscriber, fan-out, catch-up, memory, idle requests.
 *
 *   node bench/eventstream.ts [--engine embedded|tigerbeetle] [--transfers 200000] [--legs 4]
 */

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { clearedChannel, packPostings, phaseNumbers, unhex } from "#common/postgres/evidence.ts";
import { migrate } from "#common/postgres/migrate.ts";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { formatTransfer } from "#common/tigerbeetle/transfer-codec.ts";
import { transferRows } from "#common/transfer-rows.ts";
import { walletBytes } from "#common/wallet.ts";
import {
  type EventStreamProcess,
  startEventStreamProcess,
} from "../test/support/event-stream-process.ts";
import {
  alice,
  attest,
  digestIntent,
  funding,
  houseIntentOf,
  intentOf,
  purchase,
} from "../test/support/intents.ts";
import { startPostgres } from "../test/support/postgres.ts";
import { createSeed } from "../test/support/seed.ts";
import { engines } from "../test/support/tigerbeetle.ts";
import { createTokenIssuer } from "../test/support/token-issuer.ts";

const { values: options } = parseArgs({
  options: {
    engine: { type: "string", default: "tigerbeetle" },
    transfers: { type: "string", default: "200000" },
    legs: { type: "string", default: "4" },
  },
});
const legs = Number(options.legs);
const say = (line: string) => process.stdout.write(`${line}\n`);

function percentiles(samples: readonly number[]): string {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number) => (sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(2);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, p99.9 ${at(0.999)} ms`;
}

function memoryMb({ pid }: EventStreamProcess): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024;
}

function cpuSeconds({ pid }: EventStreamProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Inserts evidence of many intents at once, as Clearing does. */
async function insertAll(pool: Pool, items: readonly ReturnType<typeof attested>[]): Promise<void> {
  await pool.query(
    `insert into evidence (intent_id, digest, phase, wallet, merchant_id, reference, postings,
       timeout_seconds, issue_time, expire_time, signature, signer)
     select i, d, ${phaseNumbers.IMMEDIATE}, $3, 'market-1', 'A-17', p, 0, $4, $5, $6, $7
     from unnest($1::uuid[], $2::bytea[], $8::bytea[]) as t(i, d, p)`,
    [
      items.map(({ intent }) => intent.intentId),
      items.map(({ digest }) => unhex(digest)),
      walletBytes(alice.address),
      items[0]?.intent.issueTime,
      items[0]?.intent.expireTime,
      unhex(attest(intentOf()).signature),
      walletBytes(alice.address),
      items.map(({ intent }) => packPostings(intent.postings)),
    ],
  );
}

const issueTime = BigInt(Math.floor(Date.now() / 1_000));
function attested() {
  const intent = intentOf({
    issueTime,
    postings: Array.from({ length: legs }, () => purchase(alice.address, 1n)),
  });
  return { intent, digest: digestIntent(intent) };
}

const engineUnderTest = engines.find(({ name }) => name === options.engine);
if (engineUnderTest === undefined) throw new Error(`no engine ${options.engine}`);
const engine = await engineUnderTest.start();
const postgres = await startPostgres();
const pool = createPool({ databaseUrl: postgres.databaseUrl, applicationName: "bench" });
await migrate(pool, "clearing", new URL("../services/clearing/migrations/", import.meta.url));
const ledger = await openClient(engine.config);
const seed = createSeed(ledger, pool);
const issuer = await createTokenIssuer();
await seed.openChart();
await seed.openWallets([alice.address]);
await seed.clear(houseIntentOf({ postings: [funding(alice.address, 10n ** 12n)] }));
const service = await startEventStreamProcess({
  engine: engine.config,
  databaseUrl: postgres.databaseUrl,
  issuer,
});

async function clearOne(): Promise<{ intentId: string; committedMs: number }> {
  const item = attested();
  await insertAll(pool, [item]);
  const rows = transferRows(item.intent, item.digest).map(formatTransfer);
  await ledger.createTransfers(rows);
  const committedMs = performance.now();
  void pool.query(`notify ${clearedChannel}`);
  return { intentId: item.intent.intentId, committedMs };
}

async function latency(subscribers: number, count: number, pauseMs: number): Promise<void> {
  const arrivals = new Map<string, number[]>();
  const controller = new AbortController();
  const isOpen: Promise<void>[] = [];
  for (let index = 0; index < subscribers; index += 1) {
    const client = service.connect();
    isOpen.push(
      new Promise((resolve, reject) => {
        const run = async () => {
          for await (const { message } of client.subscribe({}, { signal: controller.signal })) {
            const now = performance.now();
            if (message.case === "opened") resolve();
            if (message.case !== "event") continue;
            const known = arrivals.get(message.value.intentId);
            if (known === undefined) arrivals.set(message.value.intentId, [now]);
            else known.push(now);
          }
        };
        run()
          .catch(reject)
          .finally(() => client[Symbol.dispose]());
      }),
    );
  }
  await Promise.all(isOpen);
  const committed = new Map<string, number>();
  const cpu = cpuSeconds(service);
  const startMs = performance.now();
  for (let index = 0; index < count; index += 1) {
    const { intentId, committedMs } = await clearOne();
    committed.set(intentId, committedMs);
    if (pauseMs > 0) await sleep(pauseMs);
  }
  await sleep(1_500);
  const lags = [...committed].flatMap(([intentId, at]) =>
    (arrivals.get(intentId) ?? []).map((arrival) => arrival - at),
  );
  const seconds = (performance.now() - startMs - 1_500) / 1_000;
  say(
    `commit to subscriber, ${subscribers} subscribers, ${(count / seconds).toFixed(0)} clearings/s: ` +
      `${percentiles(lags)} (${lags.length} of ${count * subscribers} told, ` +
      `CPU ${(((cpuSeconds(service) - cpu) / seconds) * 100).toFixed(0)} %, ${memoryMb(service).toFixed(0)} MB)`,
  );
  controller.abort();
  await sleep(200);
}

async function store(transfers: number): Promise<void> {
  const perBatch = Math.floor(Math.min(engine.config.batchMax, 2_000) / legs);
  for (let stored = 0; stored < transfers; stored += perBatch * legs) {
    const items = Array.from({ length: perBatch }, attested);
    await insertAll(pool, items);
    const rows = items.flatMap(({ intent, digest }) => transferRows(intent, digest));
    await ledger.createTransfers(rows.map(formatTransfer));
  }
}

async function catchUp(): Promise<void> {
  const client = service.connect();
  const controller = new AbortController();
  const cpu = cpuSeconds(service);
  const startMs = performance.now();
  let transfers = 0;
  const stream = client.subscribe(
    { start: { case: "earliest", value: true }, heartbeatInterval: { seconds: 1n, nanos: 0 } },
    { signal: controller.signal },
  );
  for await (const { message, cursor } of stream) {
    if (message.case === "event") transfers += message.value.transfers.length;
    if (transfers >= Number(options.transfers)) break;
    if (message.case === "bookmark" && message.value.head === cursor) break;
  }
  const seconds = (performance.now() - startMs) / 1_000;
  say(
    `catch-up from earliest: ${transfers} transfers in ${seconds.toFixed(1)} s = ` +
      `${(transfers / seconds).toFixed(0)}/s (CPU ${(((cpuSeconds(service) - cpu) / seconds) * 100).toFixed(0)} %, ` +
      `${memoryMb(service).toFixed(0)} MB)`,
  );
  client[Symbol.dispose]();
}

async function idle(subscribers: number): Promise<void> {
  const before = memoryMb(service);
  const controller = new AbortController();
  const client = service.connect();
  const opened = Array.from({ length: subscribers }, async () => {
    const stream = client.subscribe({}, { signal: controller.signal })[Symbol.asyncIterator]();
    await stream.next();
    stream.next().catch(() => undefined);
  });
  await Promise.all(opened);
  const requests = await ledgerRounds();
  const cpu = cpuSeconds(service);
  await sleep(5_000);
  say(
    `${subscribers} idle subscribers: ${(memoryMb(service) - before).toFixed(0)} MB more ` +
      `(${memoryMb(service).toFixed(0)} MB), ${(((await ledgerRounds()) - requests) / 5).toFixed(1)} rounds/s, ` +
      `CPU ${(((cpuSeconds(service) - cpu) / 5) * 100).toFixed(1)} %`,
  );
  controller.abort();
  client[Symbol.dispose]();
}

async function ledgerRounds(): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${service.metricsPort}/metrics`)).text();
  return Number(/eventstream_round_seconds_count\S* (\d+)/.exec(text)?.[1] ?? 0);
}

try {
  say(`engine ${options.engine}, ${legs} legs an intent`);
  await latency(1, 200, 20);
  await latency(1, 2_000, 0);
  await latency(10, 500, 5);
  await latency(100, 100, 20);
  await idle(1_000);
  const startMs = performance.now();
  await store(Number(options.transfers));
  say(
    `(stored ${options.transfers} transfers in ${((performance.now() - startMs) / 1_000).toFixed(0)} s)`,
  );
  await catchUp();
  await catchUp();
} finally {
  await service.stop();
  ledger.destroy();
  await pool.end();
  await postgres.stop();
  await engine.stop();
  issuer[Symbol.dispose]();
}
process.exit();
