// Goal: a scan finds each item once, in order, and one call reads no more than its share.
import { describe, expect, test } from "vitest";
import type { Range } from "#common/ledger/reader.ts";
import { type Scanned, scan, scanReadsMax } from "./scan.ts";

interface Row {
  readonly timestamp: bigint;
}

const rows: readonly Row[] = Array.from({ length: 5_000 }, (_, index) => ({
  timestamp: 2n * BigInt(index + 1),
}));
/** Later than the last row. */
const to = 20_000n;

function source(reads: Range[]) {
  return async (range: Range) => {
    reads.push(range);
    return rows
      .filter((row) => row.timestamp >= range.from && row.timestamp <= range.to)
      .slice(0, range.limit);
  };
}

async function collect(
  wanted: number,
  rowsMax: number,
  pick: (rows: readonly Row[]) => readonly Row[],
): Promise<{ items: bigint[]; calls: number }> {
  const items: bigint[] = [];
  let place: { after: bigint; to: bigint } | undefined = { after: 0n, to };
  let calls = 0;
  while (place !== undefined) {
    const reads: Range[] = [];
    const options = { place, wanted, rowsMax, read: source(reads), pick };
    const scanned: Scanned<Row> = await scan(options);
    expect(scanned.items.length).toBeLessThanOrEqual(wanted);
    expect(reads.length).toBeLessThanOrEqual(scanReadsMax);
    for (const range of reads) expect(range.limit).toBeLessThanOrEqual(rowsMax);
    items.push(...scanned.items.map((item) => item.timestamp));
    place = scanned.next;
    calls += 1;
    if (calls > 10_000) throw new Error("the list does not end");
  }
  return { items, calls };
}

describe("a scan", () => {
  test.each([1, 7, 100, 1_000])("of pages of %i finds every row once", async (wanted) => {
    const { items } = await collect(wanted, 253, (found) => found);
    expect(items).toEqual(rows.map((row) => row.timestamp));
  });

  test("says at once that a page is the last", async () => {
    const { calls } = await collect(5_000, 8_189, (found) => found);
    expect(calls).toBe(1);
  });

  test("goes on with short pages where few rows pass", async () => {
    const rare = (found: readonly Row[]) => found.filter((row) => row.timestamp % 3_000n === 0n);
    const { items, calls } = await collect(10, 64, rare);
    expect(items).toEqual([3_000n, 6_000n, 9_000n]);
    expect(calls).toBeGreaterThan(1);
  });

  test("goes on after an item that ends beyond the rows read", async () => {
    // Each item stands for three rows, as a chain of three legs does.
    const chains = (found: readonly Row[]) => {
      const ends = found.map((row) => ((row.timestamp + 5n) / 6n) * 6n);
      return [...new Set(ends)].map((timestamp) => ({ timestamp }));
    };
    const { items } = await collect(10, 64, chains);
    expect(items).toEqual(Array.from({ length: 1_667 }, (_, index) => 6n * BigInt(index + 1)));
  });
});
