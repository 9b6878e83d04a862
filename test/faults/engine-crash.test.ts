import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Account, type Client, type Transfer, TransferFlags } from "tigerbeetle-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createEmbeddedClient } from "#engine/client.ts";
import { emptyAccount } from "#engine/testing/empty-rows.ts";
import { temporaryFolder } from "#engine/testing/engines.ts";

const CHILD = fileURLToPath(new URL("../../engine/testing/writer-child.ts", import.meta.url));
/** How often the writer is killed; the nightly run does it more often. */
const ROUNDS = Number(process.env["ENGINE_CRASH_ROUNDS"] ?? 6);
const PAGE = 8189;

type Batch = { first: bigint; count: number };

describe("the embedded ledger after kill -9", () => {
  const folder = temporaryFolder();
  const path = join(folder.path, "ledger.db");
  const acknowledged: Batch[] = [];
  const open = (): Client =>
    createEmbeddedClient({
      path,
      clusterId: 5n,
      epochEvents: 500,
      indexEvents: 100,
      integrityCheck: "full",
    });

  beforeAll(async () => {
    const client = open();
    await client.createAccounts(
      [1n, 2n].map((id) => ({ ...emptyAccount(id), ledger: 1, code: 1, flags: 8 })),
    );
    client.destroy();
  });
  afterAll(() => folder.remove());

  it.each(Array.from({ length: ROUNDS }, (_, round) => round))(
    "has every acknowledged event once, whole batches only, and balances that add up (%i)",
    async (round) => {
      const size = [1, 10, 100, 35, 5, 350][round % 6] as number;
      await writeAndKill(BigInt(round + 1) * 10_000_000n, size);
      const client = open();
      try {
        const rows = await everyTransfer(client);
        const stored = new Map(rows.map((row) => [row.id, row]));
        expect(stored.size).toBe(rows.length);
        for (const { first, count } of acknowledged) {
          for (let i = 0; i < count; i++) expect(stored.has(first + BigInt(i))).toBe(true);
        }
        // What was not acknowledged is there as a whole batch or not at all.
        expect(rows.filter((row) => row.id >= BigInt(round + 1) * 10_000_000n).length % size).toBe(
          0,
        );
        await compareWithReplay(client, rows);
      } finally {
        client.destroy();
      }
    },
    60_000,
  );

  /** Lets a process write until it is killed in the middle of it. */
  async function writeAndKill(first: bigint, size: number): Promise<void> {
    const args = ["--batches", "100000", "--size", `${size}`, "--first", `${first}`, "--mixed"];
    const child = spawn(process.execPath, [CHILD, path, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    const started = new Promise<void>((resolve) => {
      child.stdout.on("data", (chunk: Buffer) => {
        said += chunk.toString();
        resolve();
      });
    });
    const closed = once(child, "close");
    await Promise.race([started, closed]);
    await sleep(20 + Math.random() * 400);
    child.kill("SIGKILL");
    await closed;
    expect(said).not.toContain("failed");
    const batches = [...said.matchAll(/^ack (\d+) (\d+)\n/gm)];
    expect(batches.length).toBeGreaterThan(0);
    for (const [, id, count] of batches) {
      acknowledged.push({ first: BigInt(id ?? 0), count: Number(count) });
    }
  }
});

async function everyTransfer(client: Client): Promise<Transfer[]> {
  const rows: Transfer[] = [];
  for (;;) {
    const page = await client.queryTransfers({
      user_data_128: 0n,
      user_data_64: 0n,
      user_data_32: 0,
      ledger: 0,
      code: 0,
      timestamp_min: (rows.at(-1)?.timestamp ?? 0n) + 1n,
      timestamp_max: 0n,
      limit: PAGE,
      flags: 0,
    });
    rows.push(...page);
    if (page.length < PAGE) return rows;
  }
}

/** Adds up the transfers in order and compares the sums with the stored balances. */
async function compareWithReplay(client: Client, rows: readonly Transfer[]): Promise<void> {
  let pending = 0n;
  let posted = 0n;
  const byId = new Map(rows.map((row) => [row.id, row]));
  for (const row of rows) {
    const resolves = TransferFlags.post_pending_transfer | TransferFlags.void_pending_transfer;
    if (row.flags & TransferFlags.pending) pending += row.amount;
    else if (row.flags & resolves) pending -= byId.get(row.pending_id)?.amount ?? 0n;
    const moved = row.flags & (TransferFlags.pending | TransferFlags.void_pending_transfer);
    if (!moved) posted += row.amount;
  }
  const [debited, credited] = await client.lookupAccounts([1n, 2n]);
  const balances = (account: Account | undefined) => ({
    debits: [account?.debits_pending, account?.debits_posted],
    credits: [account?.credits_pending, account?.credits_posted],
  });
  expect(balances(debited)).toEqual({ debits: [pending, posted], credits: [0n, 0n] });
  expect(balances(credited)).toEqual({ debits: [0n, 0n], credits: [pending, posted] });
  const [last] = await client.getAccountBalances({
    account_id: 1n,
    user_data_128: 0n,
    user_data_64: 0n,
    user_data_32: 0,
    code: 0,
    timestamp_min: 0n,
    timestamp_max: 0n,
    limit: 1,
    flags: 7,
  });
  expect(last).toMatchObject({ debits_pending: pending, debits_posted: posted });
}
