import fc from "fast-check";
import { expect, test } from "vitest";
import { LineBudget } from "./line-budget.ts";

test("lets so many lines through in a window, and says with the next how many it left out", () => {
  let nowMs = 0;
  const budget = new LineBudget(2, 1_000, () => nowMs);
  expect([budget.take(), budget.take(), budget.take(), budget.take()]).toEqual([
    { leftOut: 0 },
    { leftOut: 0 },
    undefined,
    undefined,
  ]);
  nowMs = 999;
  expect(budget.take()).toBeUndefined();
  nowMs = 1_000;
  expect(budget.take()).toEqual({ leftOut: 3 });
  expect(budget.take()).toEqual({ leftOut: 0 });
});

test("loses no line from the count, however they come", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 200 }),
      fc.integer({ min: 1, max: 5 }),
      (pausesMs, linesMax) => {
        let nowMs = 0;
        const budget = new LineBudget(linesMax, 1_000, () => nowMs);
        let written = 0;
        let toldLeftOut = 0;
        let since = 0;
        for (const pauseMs of pausesMs) {
          nowMs += pauseMs;
          const allowed = budget.take();
          if (allowed === undefined) since += 1;
          else {
            written += 1;
            toldLeftOut += allowed.leftOut;
            since = 0;
          }
        }
        expect(written + toldLeftOut + since).toBe(pausesMs.length);
        const windows = Math.floor(nowMs / 1_000) + 1;
        expect(written).toBeLessThanOrEqual(linesMax * windows);
      },
    ),
  );
});
