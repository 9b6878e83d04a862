/**
 * The embedded ledger against TigerBeetle: the same work in the same run, on one machine.
 *
 *   node bench/engine.ts [--rows 100000,1000000,5000000] [--only embedded] [--json results.json]
 *
 * Rows are shaped like the system's own: digests as ids and as user_data_128, 10,000 accounts that
 * keep history, a dozen codes. TigerBeetle is left out when it is not on PATH.
 */
import { randomFillSync } from "node:crypto";
import { statSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  type Account,
  AccountFlags,
  type Client,
  CreateTransferStatus,
  type Transfer,
} from "tigerbeetle-node";
import { createEmbeddedClient } from "#engine/client.ts";
import { emptyAccount } from "#engine/testing/empty-rows.ts";
import { startTigerBeetle, temporaryFolder, tigerbeetleBinary } from "#engine/testing/engines.ts";
import { quantile } from "./quantiles.ts";

const ACCOUNTS = 10_000;
const FIRST_ACCOUNT = 1_000_000n;
const PAGE = 8189;

type Engine = {
  name: string;
  writer: Client;
  reader: Client;
  /** Bytes on disk, where that can be told. */
  size: () => number | undefined;
  stop: () => Promise<void>;
};
type Result = { work: string; unit: string; value: number };

const words = new BigUint64Array(2 * 8192);
let wordsUsed = words.length;

/** 128 random bits, drawn many at a time. */
function random128(): bigint {
  if (wordsUsed === words.length) {
    randomFillSync(words);
    wordsUsed = 0;
  }
  const low = words[wordsUsed++] as bigint;
  const high = words[wordsUsed++] as bigint;
  return (((high << 64n) | low) >> 1n) + 1n;
}

function transfers(count: number): Transfer[] {
  return Array.from({ length: count }, (_, i) => {
    const debit = Math.floor(Math.random() * ACCOUNTS);
    const credit = (debit + 1 + Math.floor(Math.random() * (ACCOUNTS - 1))) % ACCOUNTS;
    return {
      id: random128(),
      debit_account_id: FIRST_ACCOUNT + BigInt(debit),
      credit_account_id: FIRST_ACCOUNT + BigInt(credit),
      amount: BigInt(i + 1),
      pending_id: 0n,
      user_data_128: random128(),
      user_data_64: BigInt(i),
      user_data_32: 1,
      timeout: 0,
      ledger: 1,
      code: 1 + (i % 12),
      flags: 0,
      timestamp: 0n,
    };
  });
}

function accounts(): Account[] {
  return Array.from({ length: ACCOUNTS }, (_, i) => ({
    ...emptyAccount(FIRST_ACCOUNT + BigInt(i)),
    ledger: 1,
    code: 20,
    flags: AccountFlags.history,
  }));
}

async function create(client: Client, batch: Transfer[]): Promise<bigint> {
  const results = await client.createTransfers(batch);
  const failed = results.find((result) => result.status !== CreateTransferStatus.created);
  if (failed) throw new Error(`a transfer failed: ${CreateTransferStatus[failed.status]}`);
  return results.at(-1)?.timestamp ?? 0n;
}

async function timed(runs: number, work: (run: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let run = 0; run < runs; run++) {
    const start = performance.now();
    await work(run);
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b);
}

async function batches(client: Client, size: number, runs: number): Promise<number[]> {
  const work = Array.from({ length: runs }, () => transfers(size));
  return timed(runs, (run) => create(client, work[run] as Transfer[]));
}

async function measureWrites({ writer }: Engine): Promise<Result[]> {
  const results: Result[] = [];
  await batches(writer, 1000, 10);
  const single = await batches(writer, 1, 1000);
  results.push({ work: "one transfer at a time, p50", unit: "ms", value: quantile(single, 0.5) });
  results.push({ work: "one transfer at a time, p99", unit: "ms", value: quantile(single, 0.99) });
  const perLoop = 60;
  const singles = Array.from({ length: 64 }, () => transfers(perLoop));
  const start = performance.now();
  await Promise.all(
    singles.map(async (loop) => {
      for (const transfer of loop) await create(writer, [transfer]);
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  results.push({
    work: "64 single transfers in flight",
    unit: "tx/s",
    value: (64 * perLoop) / seconds,
  });
  for (const [size, runs] of [
    [100, 100],
    [1000, 40],
    [PAGE, 10],
  ] as const) {
    const times = await batches(writer, size, runs);
    const p50 = quantile(times, 0.5);
    results.push({ work: `batches of ${size}, p50`, unit: "ms", value: p50 });
    results.push({ work: `batches of ${size}, p99`, unit: "ms", value: quantile(times, 0.99) });
    const total = times.reduce((sum, time) => sum + time, 0);
    results.push({ work: `batches of ${size}`, unit: "tx/s", value: (size * runs * 1000) / total });
  }
  return results;
}

async function measureReads({ writer, reader }: Engine): Promise<Result[]> {
  const known = transfers(PAGE);
  await create(writer, known);
  const ids = known.map((transfer) => transfer.id);
  const one = await timed(500, (run) => reader.lookupTransfers([ids[run] as bigint]));
  const thousand = await timed(20, (run) =>
    reader.lookupTransfers(ids.slice(run * 100, run * 100 + 1000)),
  );
  const account = await timed(500, (run) => reader.lookupAccounts([FIRST_ACCOUNT + BigInt(run)]));
  const filter = {
    user_data_128: 0n,
    user_data_64: 0n,
    user_data_32: 0,
    ledger: 0,
    code: 0,
    timestamp_min: 0n,
    timestamp_max: 0n,
    limit: PAGE,
    flags: 0,
  };
  const page = await timed(20, () => reader.queryTransfers(filter));
  const ofAccount = await timed(100, (run) =>
    reader.getAccountTransfers({
      ...filter,
      account_id: FIRST_ACCOUNT + BigInt(run),
      limit: 100,
      flags: 7,
    }),
  );
  return [
    { work: "look up one transfer, p50", unit: "ms", value: quantile(one, 0.5) },
    { work: "look up 1000 transfers, p50", unit: "ms", value: quantile(thousand, 0.5) },
    { work: "look up one account, p50", unit: "ms", value: quantile(account, 0.5) },
    { work: `page of ${PAGE} from queryTransfers, p50`, unit: "ms", value: quantile(page, 0.5) },
    { work: "an account's last 100 transfers, p50", unit: "ms", value: quantile(ofAccount, 0.5) },
  ];
}

/** How long after a write was answered a second client that polls without a pause has seen it. */
async function measureTail({ writer, reader }: Engine): Promise<Result[]> {
  const written = new Map<bigint, number>();
  const lags: number[] = [];
  let cursor = await create(writer, transfers(1));
  let done = false;
  const tail = (async () => {
    while (!done || written.size > 0) {
      const rows = await reader.queryTransfers({
        user_data_128: 0n,
        user_data_64: 0n,
        user_data_32: 0,
        ledger: 0,
        code: 0,
        timestamp_min: cursor + 1n,
        timestamp_max: 0n,
        limit: PAGE,
        flags: 0,
      });
      const now = performance.now();
      for (const row of rows) {
        cursor = row.timestamp;
        lags.push(now - (written.get(row.user_data_128) ?? now));
        written.delete(row.user_data_128);
      }
    }
  })();
  for (const transfer of transfers(200)) {
    written.set(transfer.user_data_128, performance.now());
    await create(writer, [transfer]);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  done = true;
  await tail;
  lags.sort((a, b) => a - b);
  return [
    { work: "tail: from call to seen, p50", unit: "ms", value: quantile(lags, 0.5) },
    { work: "tail: from call to seen, p99", unit: "ms", value: quantile(lags, 0.99) },
  ];
}

async function measureGrowth(engine: Engine, stored: number, sizes: number[]): Promise<Result[]> {
  const results: Result[] = [];
  let rows = stored;
  for (const size of sizes) {
    const start = performance.now();
    const before = rows;
    while (rows < size) {
      const count = Math.min(PAGE, size - rows);
      await create(engine.writer, transfers(count));
      rows += count;
    }
    const rate = ((rows - before) * 1000) / (performance.now() - start);
    const times = await batches(engine.writer, 1000, 60);
    rows += 60_000;
    const name = size.toLocaleString("en");
    results.push({
      work: `at ${name} rows: batch of 1000, p50`,
      unit: "ms",
      value: quantile(times, 0.5),
    });
    results.push({
      work: `at ${name} rows: batch of 1000, p99`,
      unit: "ms",
      value: quantile(times, 0.99),
    });
    if (rows > before)
      console.error(`${engine.name}: ${name} rows, filled at ${rate.toFixed(0)} tx/s`);
    const bytes = engine.size();
    if (bytes) results.push({ work: `at ${name} rows: file`, unit: "MB", value: bytes / 1e6 });
  }
  return results;
}

async function startEmbeddedEngine(): Promise<Engine> {
  const folder = temporaryFolder();
  const path = join(folder.path, "ledger.db");
  const open = () => createEmbeddedClient({ path, clusterId: 0n });
  const writer = open();
  const reader = open();
  return {
    name: "embedded",
    writer,
    reader,
    size: () => statSync(path).size,
    stop: async () => {
      writer.destroy();
      reader.destroy();
      folder.remove();
    },
  };
}

async function startRealEngine(): Promise<Engine> {
  const server = await startTigerBeetle("full");
  const reader = server.connect();
  return {
    name: "tigerbeetle",
    writer: server.client,
    reader,
    size: () => undefined,
    stop: async () => {
      reader.destroy();
      await server.stop();
    },
  };
}

async function measure(start: () => Promise<Engine>, sizes: number[]): Promise<Result[]> {
  const engine = await start();
  try {
    const all = accounts();
    for (let i = 0; i < all.length; i += PAGE)
      await engine.writer.createAccounts(all.slice(i, i + PAGE));
    const writes = await measureWrites(engine);
    const reads = await measureReads(engine);
    const tail = await measureTail(engine);
    const stored = 10_000 + 1000 + 64 * 60 + 10_000 + 40_000 + 10 * PAGE + PAGE + 201;
    const growth = await measureGrowth(engine, stored, sizes);
    return [...writes, ...reads, ...tail, ...growth];
  } finally {
    await engine.stop();
  }
}

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "100000,1000000,5000000" },
    only: { type: "string" },
    json: { type: "string" },
  },
});
const sizes = values.rows.split(",").filter(Boolean).map(Number);
const measured = new Map<string, Result[]>();
if (values.only !== "tigerbeetle")
  measured.set("embedded", await measure(startEmbeddedEngine, sizes));
if (values.only !== "embedded" && tigerbeetleBinary()) {
  measured.set("tigerbeetle", await measure(startRealEngine, sizes));
}

const format = (value: number | undefined): string => {
  if (value === undefined) return "";
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(2);
};
const names = [...measured.keys()];
const works = [...new Map([...measured.values()].flat().map((r) => [r.work, r.unit]))];
console.log(["| work | unit |", ...names.map((n) => ` ${n} |`), " ratio |"].join(""));
console.log(`|---|---|${"---|".repeat(names.length + 1)}`);
for (const [work, unit] of works) {
  const row = names.map((n) => measured.get(n)?.find((r) => r.work === work)?.value);
  const [a, b] = row;
  // Above 1 the embedded engine is that many times slower; for rates, that many times fewer.
  const ratio = a && b ? (unit === "tx/s" ? b / a : a / b).toFixed(2) : "";
  console.log(`| ${work} | ${unit} | ${row.map(format).join(" | ")} | ${ratio} |`);
}
const machine = {
  cpus: cpus().length,
  model: cpus()[0]?.model,
  kernel: release(),
  node: process.version,
};
const report = { machine, date: new Date().toISOString(), results: Object.fromEntries(measured) };
if (values.json) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
else console.log(JSON.stringify(report));
