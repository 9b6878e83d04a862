// A load process: takes one task, prepares it, runs it when told, and tells what it measured.
import { once } from "node:events";
import { performance } from "node:perf_hooks";
import { type LoadCall, prepareCalls } from "./calls.ts";
import { prepareRaw } from "./raw.ts";
import type { LoadMessage, LoadResult, LoadTask, Pace } from "./task.ts";

/** How long a load at a pace runs before its latencies count. */
const warmUpMs = 1_000;
const tell = (message: LoadMessage) => process.send?.(message);

const [task] = (await once(process, "message")) as [LoadTask];
try {
  const { calls, close } = task.kind === "raw" ? await prepareRaw(task) : await prepareCalls(task);
  tell({ prepared: true });
  await once(process, "message");
  const pace: Pace = task.kind === "raw" ? { inFlight: 2 } : task.pace;
  tell({ result: await run(calls, pace, task.seconds) });
  close();
} catch (error) {
  tell({ error: error instanceof Error ? error.message : String(error) });
}
process.disconnect();

async function run(calls: readonly LoadCall[], pace: Pace, seconds: number): Promise<LoadResult> {
  const measured = { done: 0, failed: 0, firstFailure: undefined as string | undefined };
  const latenciesMs: number[] = [];
  const checks: (() => void)[] = [];
  const fail = (error: unknown) => {
    measured.failed += 1;
    measured.firstFailure ??= error instanceof Error ? error.message : String(error);
  };
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  const endMs = startMs + seconds * 1_000;
  // The first calls of a process wait for its own code to be compiled; few calls a second would show little else.
  const countFromMs = "perSecond" in pace ? startMs + warmUpMs : startMs;
  const one = async (call: LoadCall, fromMs: number) => {
    try {
      const check = await call.run();
      if (fromMs >= countFromMs) latenciesMs.push(performance.now() - fromMs);
      measured.done += call.weight;
      if (check !== undefined) checks.push(check);
    } catch (error) {
      fail(error);
    }
  };
  if ("inFlight" in pace) await inFlight(calls, pace.inFlight, endMs, one);
  else await perSecond(calls, pace.perSecond, endMs, one);
  const tookSeconds = (performance.now() - startMs) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  for (const check of checks) {
    try {
      check();
    } catch (error) {
      fail(error);
    }
  }
  latenciesMs.sort((a, b) => a - b);
  return { ...measured, seconds: tookSeconds, latenciesMs, cpuSeconds: (user + system) / 1e6 };
}

type RunOne = (call: LoadCall, fromMs: number) => Promise<void>;

async function inFlight(
  calls: readonly LoadCall[],
  width: number,
  endMs: number,
  one: RunOne,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (performance.now() < endMs) {
      const call = calls[next];
      next += 1;
      if (call === undefined) return;
      await one(call, performance.now());
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
}

async function perSecond(
  calls: readonly LoadCall[],
  rate: number,
  endMs: number,
  one: RunOne,
): Promise<void> {
  const startMs = performance.now();
  const all: Promise<void>[] = [];
  for (const [index, call] of calls.entries()) {
    const dueMs = startMs + (index * 1_000) / rate;
    if (dueMs >= endMs) break;
    // Timers are as coarse as a millisecond; what is due within one goes now.
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    all.push(one(call, Math.max(dueMs, startMs)));
  }
  await Promise.all(all);
}
