// Goal: who holds a ReadOnlyClient cannot write, whatever its types are told at run time.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openClient } from "./open-client.ts";
import { type ReadOnlyClient, readOnlyClient } from "./read-only-client.ts";

let folder: string;
let client: ReadOnlyClient;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "sovr-read-only-"));
  const engine = { kind: "embedded", path: join(folder, "ledger.sqlite") } as const;
  client = readOnlyClient(await openClient({ clusterId: 0n, batchMax: 8_189, engine }));
});

afterAll(() => {
  client.destroy();
  rmSync(folder, { recursive: true, force: true });
});

test("has the reads, the clock and its own end, and nothing else", () => {
  expect(Reflect.ownKeys(client).toSorted()).toEqual([
    "clusterTime",
    "destroy",
    "getAccountBalances",
    "getAccountTransfers",
    "lookupAccounts",
    "lookupTransfers",
    "queryAccounts",
    "queryTransfers",
  ]);
  expect(Object.getPrototypeOf(client)).toBe(Object.prototype);
});

test("takes no other functions", () => {
  expect(Object.isFrozen(client)).toBe(true);
  expect(Reflect.set(client, "createTransfers", () => [])).toBe(false);
});

test("reads the clock without leaving a trace", async () => {
  const before = await client.clusterTime();
  expect(await client.clusterTime()).toBeGreaterThan(before);
  const filter = { user_data_128: 0n, user_data_64: 0n, user_data_32: 0, ledger: 0, code: 0 };
  const all = { ...filter, timestamp_min: 0n, timestamp_max: 0n, limit: 10, flags: 0 };
  expect(await client.queryTransfers(all)).toEqual([]);
  expect(await client.queryAccounts(all)).toEqual([]);
});
