import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { raceDeadline, waitMsUntil } from "./deadline.ts";

// Time is faked: nothing here waits.
beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

const late = () => new Error("late");
const never = new Promise<never>(() => {});

describe("raceDeadline", () => {
  test("gives the work's result, and leaves no timer behind", async () => {
    const limit = { deadlineMs: Date.now() + 1_000 };
    await expect(raceDeadline(Promise.resolve(7), limit, late)).resolves.toBe(7);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("passes the work's error on", async () => {
    const limit = { deadlineMs: Date.now() + 1_000 };
    await expect(raceDeadline(Promise.reject(new Error("work")), limit, late)).rejects.toThrow(
      "work",
    );
  });

  test("fails at the deadline, not before", async () => {
    const race = raceDeadline(never, { deadlineMs: Date.now() + 1_000 }, late);
    const settled = vi.fn();
    race.catch(settled);
    await vi.advanceTimersByTimeAsync(999);
    expect(settled).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    await expect(race).rejects.toThrow("late");
  });

  test("fails when the signal fires, and when it had fired before", async () => {
    const caller = new AbortController();
    const limit = { deadlineMs: Date.now() + 1_000, signal: caller.signal };
    const race = raceDeadline(never, limit, late);
    caller.abort();
    await expect(race).rejects.toThrow("late");
    await expect(raceDeadline(never, limit, late)).rejects.toThrow("late");
    expect(vi.getTimerCount()).toBe(0);
  });

  test("fails at once when the deadline has passed", async () => {
    const race = raceDeadline(never, { deadlineMs: Date.now() - 1 }, late);
    race.catch(() => {});
    await vi.advanceTimersByTimeAsync(1);
    await expect(race).rejects.toThrow("late");
  });

  test("waits for a deadline that no timer of Node can hold, instead of firing at once", async () => {
    const race = raceDeadline(never, { deadlineMs: Number.MAX_SAFE_INTEGER }, late);
    const settled = vi.fn();
    race.catch(settled);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(settled).not.toHaveBeenCalled();
  });

  test("clamps every wait to what a timer of Node can hold", () => {
    const waitsMs = [-1, 0, 1, 2 ** 31 - 1, 2 ** 31, Number.POSITIVE_INFINITY].map((ms) =>
      waitMsUntil(Date.now() + ms),
    );
    expect(waitsMs).toEqual([0, 0, 1, 2 ** 31 - 1, 2 ** 31 - 1, 2 ** 31 - 1]);
  });

  test("gives whole milliseconds, as some timers demand, and never too few", () => {
    expect([0.1, 8_452.95, -0.5].map((ms) => waitMsUntil(Date.now() + ms))).toEqual([1, 8_453, 0]);
  });

  test("drops what fails after the deadline without an unhandled rejection", async () => {
    const work = Promise.withResolvers<never>();
    const race = raceDeadline(work.promise, { deadlineMs: Date.now() }, late);
    race.catch(() => {});
    await vi.advanceTimersByTimeAsync(1);
    await expect(race).rejects.toThrow("late");
    // Vitest fails the run if this becomes an unhandled rejection.
    work.reject(new Error("too late to matter"));
    await vi.advanceTimersByTimeAsync(1);
  });
});
