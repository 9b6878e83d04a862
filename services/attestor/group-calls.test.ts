import { describe, expect, test } from "vitest";
import { groupCalls } from "./group-calls.ts";

interface Run {
  readonly items: readonly number[];
  finish(results?: readonly string[]): void;
  fail(error: Error): void;
}

/** A group whose runs end when the test says so. */
function manualGroup(limits: { itemsMax?: number; runningMax?: number; waitingMax?: number } = {}) {
  const runs: Run[] = [];
  const call = groupCalls<number, string>({
    itemsMax: 100,
    runningMax: 1,
    waitingMax: 100,
    ...limits,
    run: (items) => {
      const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
      runs.push({
        items,
        finish: (results = items.map((item) => `r${item}`)) => resolve(results),
        fail: reject,
      });
      return promise;
    },
  });
  return { runs, call };
}

describe("groupCalls", () => {
  test("the first call starts at once, those that come meanwhile go together", async () => {
    const { runs, call } = manualGroup();
    const calls = [1, 2, 3].map(call);
    expect(runs.map(({ items }) => items)).toEqual([[1]]);
    runs[0]?.finish();
    await expect(calls[0]).resolves.toBe("r1");
    expect(runs.map(({ items }) => items)).toEqual([[1], [2, 3]]);
    runs[1]?.finish();
    await expect(Promise.all(calls)).resolves.toEqual(["r1", "r2", "r3"]);
  });

  test("a run that hangs does not hold up what comes after it", async () => {
    const { runs, call } = manualGroup({ runningMax: 2 });
    void call(1);
    const second = call(2);
    const rest = [3, 4].map(call);
    expect(runs.map(({ items }) => items)).toEqual([[1], [2]]);
    runs[1]?.finish();
    await expect(second).resolves.toBe("r2");
    runs[2]?.finish();
    await expect(Promise.all(rest)).resolves.toEqual(["r3", "r4"]);
    expect(runs[2]?.items).toEqual([3, 4]);
  });

  test("is idle again when all is done", async () => {
    const { runs, call } = manualGroup();
    const first = call(1);
    runs[0]?.finish();
    await first;
    await new Promise(setImmediate);
    const second = call(2);
    expect(runs[1]?.items).toEqual([2]);
    runs[1]?.finish();
    await expect(second).resolves.toBe("r2");
  });

  test("a run takes no more than its share", async () => {
    const { runs, call } = manualGroup({ itemsMax: 2 });
    const calls = [1, 2, 3, 4, 5].map(call);
    for (let i = 0; i < 3; i += 1) {
      runs[i]?.finish();
      await new Promise(setImmediate);
    }
    await Promise.all(calls);
    expect(runs.map(({ items }) => items)).toEqual([[1], [2, 3], [4, 5]]);
  });

  test("a run that fails fails its own calls, and the next goes on", async () => {
    const { runs, call } = manualGroup();
    const calls = [1, 2, 3].map(call);
    const outcomes = Promise.allSettled(calls);
    runs[0]?.fail(new Error("gone"));
    await new Promise(setImmediate);
    runs[1]?.finish();
    expect((await outcomes).map(({ status }) => status)).toEqual([
      "rejected",
      "fulfilled",
      "fulfilled",
    ]);
  });

  test("a run that throws at once, or answers too few, fails its calls instead of leaving them", async () => {
    const thrown = groupCalls<number, string>({
      itemsMax: 1,
      runningMax: 1,
      waitingMax: 1,
      run: () => {
        throw new Error("at once");
      },
    });
    await expect(thrown(1)).rejects.toThrow("at once");
    const { runs, call } = manualGroup();
    const short = call(1);
    runs[0]?.finish([]);
    await expect(short).rejects.toThrow("1 calls were given 0 results");
  });

  test("when too many wait one more is refused, with a time to come back", async () => {
    const { runs, call } = manualGroup({ waitingMax: 2 });
    const calls = [1, 2, 3].map(call);
    await expect(call(4)).rejects.toMatchObject({ kind: "RATE_LIMITED", retryAfterMs: 1_000 });
    runs[0]?.finish();
    await new Promise(setImmediate);
    const fifth = call(5);
    runs[1]?.finish();
    await new Promise(setImmediate);
    runs[2]?.finish();
    await expect(Promise.all([...calls, fifth])).resolves.toEqual(["r1", "r2", "r3", "r5"]);
  });
});
