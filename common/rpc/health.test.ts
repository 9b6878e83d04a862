import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createLogger } from "#common/process/logger.ts";
import { createHealth, type Dependency } from "./health.ts";

const ageMsMax = 10_000;

/** A dependency that answers, fails, or never returns, as it is told. */
function createDependency() {
  let lastMs = 0;
  const state: { mode: "ok" | "fails" | "hangs"; probes: number } = { mode: "ok", probes: 0 };
  return Object.assign(state, {
    dependency: {
      name: "tigerbeetle",
      lastSuccessMs: () => lastMs,
      probe(): Promise<void> {
        state.probes += 1;
        if (state.mode === "ok") {
          lastMs = Date.now();
          return Promise.resolve();
        }
        return state.mode === "fails"
          ? Promise.reject(new Error("down"))
          : new Promise(() => undefined);
      },
    } satisfies Dependency,
    /** A call that worked, made by somebody else. */
    succeed: () => {
      lastMs = Date.now();
    },
  });
}

function healthOf(...dependencies: Dependency[]) {
  return createHealth({
    dependencies,
    serviceNames: ["sovr.ledger.v1.LedgerService"],
    ageMsMax,
    logger: createLogger("test", "silent"),
  });
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("readiness", () => {
  it("comes with the first success and goes with its age", async () => {
    const tigerbeetle = createDependency();
    const health = healthOf(tigerbeetle.dependency);
    expect(health.ready).toBe(false);
    await health.start();
    expect(health.ready).toBe(true);
    tigerbeetle.mode = "fails";
    await vi.advanceTimersByTimeAsync(ageMsMax - 1_000);
    expect(health.ready).toBe(true);
    await vi.advanceTimersByTimeAsync(3_000);
    expect(health.ready).toBe(false);
    expect(health.dependencies()).toMatchObject([{ name: "tigerbeetle", ok: false, why: "down" }]);
    tigerbeetle.mode = "ok";
    await vi.advanceTimersByTimeAsync(1_000);
    expect(health.ready).toBe(true);
    health.stop();
  });

  it("says from the first failed probe why it is not there", async () => {
    const tigerbeetle = createDependency();
    tigerbeetle.mode = "fails";
    const health = healthOf(tigerbeetle.dependency);
    await health.start();
    expect(health.ready).toBe(false);
    expect(health.dependencies()).toEqual([
      { name: "tigerbeetle", ok: false, ageMs: null, why: "down" },
    ]);
    health.stop();
  });

  it("never waits for a dependency that hangs, and has one probe out at most", async () => {
    const tigerbeetle = createDependency();
    tigerbeetle.mode = "hangs";
    const health = healthOf(tigerbeetle.dependency);
    const started = health.start();
    await vi.advanceTimersByTimeAsync(5_000);
    await started;
    expect(health.ready).toBe(false);
    expect(health.dependencies()).toEqual([
      { name: "tigerbeetle", ok: false, ageMs: null, why: "no answer for 5 s" },
    ]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(tigerbeetle.probes).toBe(1);
    // The calls of others prove it alive, although the probe is still out.
    tigerbeetle.succeed();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(health.ready).toBe(true);
    health.stop();
  });

  it("does not probe what is in use anyway", async () => {
    const tigerbeetle = createDependency();
    const health = healthOf(tigerbeetle.dependency);
    await health.start();
    const probes = tigerbeetle.probes;
    for (let second = 0; second < 30; second += 1) {
      tigerbeetle.succeed();
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(tigerbeetle.probes).toBe(probes);
    health.stop();
  });

  it("ends with draining, whatever the dependencies say", async () => {
    const health = healthOf(createDependency().dependency);
    await health.start();
    health.drain();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(health.ready).toBe(false);
    health.stop();
    expect(vi.getTimerCount()).toBe(0);
  });
});
