import { describe, expect, it } from "vitest";
import { IdFilter } from "./id-filter.ts";
import { IdTable } from "./id-table.ts";

/** Ids that are counters, ids that differ in one word only, and digests. */
function ids(count: number): Uint32Array {
  const words = new Uint32Array(count * 4);
  for (let i = 0; i < count; i++) {
    words[i * 4 + (i % 4)] = i + 1;
    if (i % 5 === 0) for (let w = 0; w < 4; w++) words[i * 4 + w] = Math.imul(i + w, 0x9e37_79b1);
  }
  return words;
}

describe("the table of ids", () => {
  it("keeps every id's own value while it grows, and forgets when it is cleared", () => {
    const table = new IdTable(16);
    const words = ids(5000);
    for (let i = 1; i < 5000; i++) table.set(words, i * 4, i);
    for (let i = 1; i < 5000; i++) expect(table.get(words, i * 4)).toBe(i);
    table.set(words, 4, -1);
    expect(table.get(words, 4)).toBe(-1);
    table.clear();
    expect(table.get(words, 8)).toBe(0);
  });
});

describe("the filter of ids", () => {
  const PER_EPOCH = 1000;
  const EPOCHS = 70;
  const words = ids(PER_EPOCH * EPOCHS);
  const fill = (filter: IdFilter, epochs: (epoch: number) => boolean): void => {
    for (let i = 0; i < PER_EPOCH * EPOCHS; i++) {
      const epoch = Math.floor(i / PER_EPOCH);
      if (epochs(epoch)) filter.add(epoch, words, i * 4);
    }
  };

  it("never misses an id, and seldom names an epoch in vain", () => {
    const filter = new IdFilter();
    fill(filter, () => true);
    let named = 0;
    for (let i = 0; i < PER_EPOCH * EPOCHS; i += 7) {
      const epoch = Math.floor(i / PER_EPOCH);
      const found = filter.search(words, i * 4, (candidate) => {
        named++;
        return candidate === epoch;
      });
      expect(found).toBe(true);
    }
    expect(named).toBeLessThan((PER_EPOCH * EPOCHS) / 7 + 50);
  });

  it("is the same after an epoch was stored and loaded", () => {
    const filter = new IdFilter();
    fill(filter, (epoch) => epoch === 33);
    const loaded = new IdFilter();
    loaded.load(33, filter.save(33));
    for (let i = 33 * PER_EPOCH; i < 34 * PER_EPOCH; i++) {
      expect(loaded.search(words, i * 4, (epoch) => epoch === 33)).toBe(true);
    }
    expect(loaded.save(33)).toEqual(filter.save(33));
    expect(loaded.save(34).some((byte) => byte !== 0)).toBe(false);
  });
});
