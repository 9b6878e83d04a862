import { describe, expect, it } from "vitest";
import { faultLine, readLongRun } from "./long-runs.ts";

describe("readLongRun", () => {
  it("takes minutes and a seed, and finds a seed by itself", () => {
    expect(readLongRun("5", "7")).toEqual({ minutes: 5, seed: 7 });
    expect(readLongRun("0.5", undefined).seed).toBeGreaterThanOrEqual(0);
  });

  it.each(["", "0", "-1", "many", "1e3", "99999"])("refuses %j minutes", (minutes) => {
    expect(() => readLongRun(minutes, undefined)).toThrow(/^--minutes .*: give a number/);
  });

  it.each(["", "x", "-1", "1.5", "4294967296"])("refuses the seed %j", (seed) => {
    expect(() => readLongRun("1", seed)).toThrow(/^--seed .*: give a whole number/);
  });
});

describe("faultLine", () => {
  it("adds up what the engines did", () => {
    const one = { faults: 3, answered: 10, cleared: 4, lost: 0, doubled: 1, wrong: 0, strange: 2 };
    const lines = `${JSON.stringify(one)}\n${JSON.stringify(one)}\n`;
    expect(faultLine(7, lines)).toBe(
      "seed 7: 6 faults, 20 answers, 8 acknowledged, lost 0, doubled 2, wrong 0, answers without a reason 4",
    );
    expect(faultLine(7, "")).toMatch(/^seed 7: 0 faults, 0 answers/);
  });
});
