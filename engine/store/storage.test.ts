import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import type { Client } from "tigerbeetle-node";
import { AccountFlags, CreateTransferStatus, TransferFlags } from "tigerbeetle-node";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createEmbeddedClient, type EmbeddedClientOptions } from "../client.ts";
import { emptyAccount, emptyTransfer } from "../testing/empty-rows.ts";
import { temporaryFolder } from "../testing/engines.ts";

const CHILD = fileURLToPath(new URL("../testing/writer-child.ts", import.meta.url));
const isRoot = process.getuid?.() === 0;

// Every transaction waits for the disk, and processes take their time to start.
describe("the file", { timeout: 60_000 }, () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let path: string;
  const clients: Client[] = [];
  const children: ChildProcess[] = [];

  const open = (options: Partial<EmbeddedClientOptions> = {}): Client => {
    const client = createEmbeddedClient({ path, clusterId: 5n, ...options });
    clients.push(client);
    return client;
  };
  const closeAll = (): void => {
    for (const client of clients.splice(0)) client.destroy();
  };
  const accounts = [1n, 2n].map((id) => ({
    ...emptyAccount(id),
    ledger: 1,
    code: 1,
    flags: AccountFlags.history,
  }));
  const transfer = (id: bigint) => ({
    ...emptyTransfer(id),
    debit_account_id: 1n,
    credit_account_id: 2n,
    amount: 1n,
    ledger: 1,
    code: 1,
  });
  const range = (from: bigint, count: number) =>
    Array.from({ length: count }, (_, i) => transfer(from + BigInt(i)));
  const all = {
    user_data_128: 0n,
    user_data_64: 0n,
    user_data_32: 0,
    ledger: 0,
    code: 0,
    timestamp_min: 0n,
    timestamp_max: 0n,
    limit: 8189,
    flags: 0,
  };
  /** Waits until the engine's thread has let go of the file. */
  const settled = () =>
    vi.waitFor(() => expect(existsSync(`${path}-wal`), "the file stays open").toBe(false), {
      timeout: 30_000,
      interval: 20,
    });

  beforeEach(() => {
    folder = temporaryFolder();
    path = join(folder.path, "ledger.db");
  });
  afterEach(async () => {
    closeAll();
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    folder.remove();
  });

  it("keeps everything across a restart", async () => {
    const first = open();
    await first.createAccounts(accounts);
    await first.createTransfers([...range(10n, 5), { ...transfer(99n), debit_account_id: 9n }]);
    const before = await first.queryTransfers(all);
    const balances = await first.lookupAccounts([1n, 2n]);
    closeAll();
    await settled();
    const second = open();
    expect(await second.queryTransfers(all)).toEqual(before);
    expect(await second.lookupAccounts([1n, 2n])).toEqual(balances);
    const [again] = await second.createTransfers([transfer(99n)]);
    expect(again?.status).toBe(CreateTransferStatus.id_already_failed);
  });

  it("brings transfers into the indexes, and finds them there after a restart", async () => {
    const small = { epochEvents: 100, indexEvents: 40 };
    const first = open(small);
    await first.createAccounts(accounts);
    for (let i = 0; i < 60; i++) await first.createTransfers(range(1000n + BigInt(i * 10), 10));
    closeAll();
    await settled();
    const db = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
    const behind = db
      .prepare(
        `SELECT name, (SELECT count(*) FROM transfers WHERE timestamp > indexed_to) AS rows
         FROM index_progress`,
      )
      .all();
    const epochs = db.prepare("SELECT count(*) AS count FROM epochs").get();
    db.close();
    expect(behind).toHaveLength(8);
    for (const { name, rows } of behind) expect(Number(rows), String(name)).toBeLessThan(200);
    expect(Number(epochs?.["count"])).toBeGreaterThan(3);
    const second = open(small);
    const found = await second.lookupTransfers([1000n, 1350n, 1599n, 1600n]);
    expect(found.map((t) => t.id)).toEqual([1000n, 1350n, 1599n]);
    const filter = { ...all, account_id: 2n, flags: 2 };
    expect((await second.getAccountTransfers(filter)).map((t) => t.id)).toEqual(
      range(1000n, 600).map((t) => t.id),
    );
    const last = await second.getAccountBalances({ ...filter, flags: 6, limit: 1 });
    expect(last[0]?.credits_posted).toBe(600n);
  });

  it("refuses another cluster's file, a newer schema and what is no ledger, and leaves them alone", async () => {
    await open().createAccounts(accounts);
    closeAll();
    await settled();
    const bytes = readFileSync(path);
    const refusal = (code: string) =>
      expect.objectContaining({ name: "EmbeddedLedgerError", code });
    expect(() => open({ clusterId: 6n })).toThrow(refusal("ERR_EMBEDDED_CLUSTER_MISMATCH"));
    expect(() => open({ clusterId: 6n })).toThrow(/belongs to cluster 5, not to 6/);
    expect(readFileSync(path).equals(bytes)).toBe(true);
    const db = new DatabaseSync(path, { timeout: 5000 });
    db.exec("PRAGMA user_version = 99");
    db.close();
    expect(() => open()).toThrow(refusal("ERR_EMBEDDED_SCHEMA_TOO_NEW"));

    path = join(folder.path, "other.db");
    const other = new DatabaseSync(path);
    other.exec("CREATE TABLE t (a)");
    other.close();
    expect(() => open()).toThrow(refusal("ERR_EMBEDDED_CORRUPT"));
    path = join(folder.path, "text");
    writeFileSync(path, "no database at all, but long enough to be read as one ".repeat(50));
    expect(() => open()).toThrow(refusal("ERR_EMBEDDED_CORRUPT"));
    path = join(folder.path, "missing", "ledger.db");
    expect(() => open()).toThrow(refusal("ERR_EMBEDDED_CANNOT_OPEN"));
  });

  it("notices a damaged page when it opens", async () => {
    const client = open();
    await client.createAccounts(accounts);
    await client.createTransfers(range(1n, 2000));
    closeAll();
    await settled();
    const { size } = statSync(path);
    const file = openSync(path, "r+");
    for (let at = 8 * 4096; at < size; at += 4096)
      writeSync(file, Buffer.alloc(64, 0xff), 0, 64, at);
    closeSync(file);
    await expect(async () => open().lookupAccounts([1n])).rejects.toMatchObject({
      code: "ERR_EMBEDDED_CORRUPT",
    });
  });

  it("refuses the imported flag before anything is written", async () => {
    const client = open();
    await client.createAccounts(accounts);
    const imported = { ...transfer(2n), flags: TransferFlags.imported, timestamp: 1n };
    await expect(client.createTransfers([transfer(1n), imported])).rejects.toMatchObject({
      name: "EmbeddedLedgerError",
      code: "ERR_EMBEDDED_IMPORTED_REFUSED",
    });
    const account = { ...emptyAccount(3n), flags: AccountFlags.imported, ledger: 1, code: 1 };
    await expect(client.createAccounts([account])).rejects.toMatchObject({
      code: "ERR_EMBEDDED_IMPORTED_REFUSED",
    });
    expect(await client.lookupTransfers([1n, 2n])).toEqual([]);
    expect(await client.lookupAccounts([3n])).toEqual([]);
  });

  it("lets calls that wait together share a transaction, with results in each caller's order", async () => {
    const client = open();
    await client.createAccounts(accounts);
    const calls = Array.from({ length: 50 }, (_, i) => range(BigInt(1000 + i * 3), 3));
    const answers = await Promise.all(calls.map((batch) => client.createTransfers(batch)));
    const timestamps = answers.flat().map((result) => result.timestamp);
    expect(answers.flat().every((r) => r.status === CreateTransferStatus.created)).toBe(true);
    expect(timestamps).toEqual([...timestamps].sort((a, b) => (a < b ? -1 : 1)));
    // All but the first call waited, and followed each other without a gap.
    expect(timestamps.at(-1)).toBe((timestamps[3] ?? 0n) + 146n);
    const [read, , again] = await Promise.all([
      client.lookupTransfers([1000n]),
      client.createTransfers([transfer(5000n)]),
      client.lookupTransfers([5000n]),
    ]);
    expect([read.length, again.length]).toEqual([1, 1]);
  });

  const startChild = (args: string[], options: { uid?: number } = {}): ChildProcess => {
    const child = spawn(process.execPath, [CHILD, path, ...args], {
      stdio: ["pipe", "pipe", "inherit"],
      ...options,
    });
    children.push(child);
    return child;
  };
  const output = async (child: ChildProcess): Promise<string> => {
    let text = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    await once(child, "close");
    return text;
  };

  it("is shared by processes: one writes, one tails, and both write", async () => {
    const client = open({ epochEvents: 500, indexEvents: 100 });
    await client.createAccounts(accounts);
    const child = startChild(["--batches", "80", "--size", "20", "--first", "100000"]);
    const done = output(child);
    const seen: bigint[] = [];
    let cursor = 0n;
    let own = 0n;
    while (seen.length < 80 * 20 + Number(own)) {
      const rows = await client.queryTransfers({ ...all, timestamp_min: cursor + 1n });
      for (const row of rows) {
        expect(row.timestamp).toBeGreaterThan(cursor);
        cursor = row.timestamp;
        seen.push(row.id);
      }
      if (own < 200n) {
        own += 1n;
        await client.createTransfers([transfer(own)]);
        expect((await client.lookupTransfers([own])).length).toBe(1);
      }
    }
    expect(await done).toContain("done");
    const byTime = await client.queryTransfers(all);
    expect(seen).toEqual(byTime.map((t) => t.id));
    expect(new Set(seen).size).toBe(seen.length);
    const [debited] = await client.lookupAccounts([1n]);
    expect(debited?.debits_posted).toBe(byTime.reduce((sum, t) => sum + t.amount, 0n));
    const [exists] = await client.createTransfers([transfer(100_000n)]);
    expect(exists?.status).toBe(CreateTransferStatus.exists_with_different_amount);
  });

  it("knows what others stored also after it only asked for the time", async () => {
    const [one, two] = [open(), open()];
    await one.createAccounts(accounts);
    const askTime = async () => {
      const [refused] = await two.createTransfers([emptyTransfer(0n)]);
      expect(refused?.status).toBe(CreateTransferStatus.id_must_not_be_zero);
      return refused?.timestamp ?? 0n;
    };
    const results: unknown[] = [];
    let last = 0n;
    for (let i = 0n; i < 20n; i++) {
      await one.createTransfers([transfer(100n + i), { ...transfer(500n + i), ledger: 2 }]);
      await one.createTransfers([{ ...transfer(900n + i), debit_account_id: 9n }]);
      const time = await askTime();
      expect(time).toBeGreaterThan(last);
      last = time;
      if (i % 4n !== 3n) continue;
      const events = [transfer(100n + i), transfer(900n + i), transfer(700n + i)];
      results.push((await two.createTransfers(events)).map(({ status }) => status));
    }
    const { exists, id_already_failed, created } = CreateTransferStatus;
    expect(results).toEqual(Array(5).fill([exists, id_already_failed, created]));
    const stored = await one.queryTransfers(all);
    expect(stored.map(({ id }) => id)).toEqual((await two.queryTransfers(all)).map(({ id }) => id));
    expect(stored).toHaveLength(25);
  });

  it("copies the log into the file while it writes", async () => {
    const client = open();
    await client.createAccounts(accounts);
    const logBytes = () => statSync(`${path}-wal`).size;
    const [fileBefore, batch] = [statSync(path).size, 500];
    let logMax = 0;
    // If nobody copied the log, or never all of it, it would have 72 MB.
    for (let i = 0; i < 240; i++) {
      await client.createTransfers(range(BigInt(1 + i * batch), batch));
      logMax = Math.max(logMax, logBytes());
    }
    expect(logMax).toBeLessThan(60_000_000);
    expect(statSync(path).size - fileBefore).toBeGreaterThan(10_000_000);
  });

  it("is created once by processes that start together, and takes the writes of all", async () => {
    const texts = await Promise.all(
      [1, 2, 3, 4].map((n) => {
        const first = `${n * 1000}`;
        return output(
          startChild(["--accounts", "--batches", "10", "--size", "7", "--first", first]),
        );
      }),
    );
    for (const text of texts) expect(text).toContain("done");
    const client = open();
    const rows = await client.queryTransfers(all);
    expect(rows).toHaveLength(4 * 70);
    const [debited] = await client.lookupAccounts([1n]);
    expect(debited?.debits_posted).toBe(rows.reduce((sum, t) => sum + t.amount, 0n));
  });

  it("refuses a cluster id that is no u128", () => {
    expect(() => open({ clusterId: 1 as never })).toThrow("cluster_id must be a BigInt");
    expect(() => open({ clusterId: -1n })).toThrow("cluster_id must be positive");
    expect(() => open({ clusterId: 1n << 128n })).toThrow("cluster_id must fit in 128 bits");
  });

  it("gives a typed error when the disk is full, and loses nothing", async () => {
    await open().createAccounts(accounts);
    closeAll();
    await settled();
    // A limit on the size of files stands for the full disk.
    const child = spawn(
      "/bin/sh",
      [
        "-c",
        `ulimit -f 6000; exec "${process.execPath}" "${CHILD}" "${path}" --batches 400 --size 200 --first 1`,
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    children.push(child);
    const text = await output(child);
    expect(text).toMatch(/failed ERR_EMBEDDED_(DISK_FULL|IO)/);
    const acknowledged = [...text.matchAll(/^ack (\d+) (\d+)$/gm)];
    expect(acknowledged.length).toBeGreaterThan(3);
    expect(acknowledged.length).toBeLessThan(400);
    const client = open();
    for (const [, first, count] of acknowledged) {
      const ids = range(BigInt(first ?? 0), Number(count)).map((t) => t.id);
      expect(await client.lookupTransfers(ids)).toHaveLength(Number(count));
    }
    const [created] = await client.createTransfers([transfer(1n << 80n)]);
    expect(created?.status).toBe(CreateTransferStatus.created);
  });

  it("gives a typed error for a file that cannot be written", async () => {
    await open().createAccounts(accounts);
    closeAll();
    await settled();
    chmodSync(path, 0o444);
    chmodSync(folder.path, 0o555);
    try {
      // The superuser may write everything: be nobody.
      const child = startChild(
        ["--batches", "1", "--size", "1", "--first", "1"],
        isRoot ? { uid: 65_534 } : {},
      );
      const text = await output(child);
      expect(text).toContain("failed ERR_EMBEDDED_READ_ONLY");
    } finally {
      chmodSync(folder.path, 0o755);
      chmodSync(path, 0o644);
    }
    expect(await open().lookupAccounts([1n])).toHaveLength(1);
  });
});
