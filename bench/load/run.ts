import { fork } from "node:child_process";
import type { LoadMessage, LoadResult, LoadTask } from "./task.ts";

/** Longer than any preparation or run of a bench. */
const patienceMs = 600_000;

/** Runs tasks at the same time, each in a process of its own; the clock starts when all are prepared. */
export async function runLoads(
  tasks: readonly LoadTask[],
  onStart: () => void = () => undefined,
): Promise<LoadResult[]> {
  const loads = tasks.map(startLoad);
  try {
    await Promise.all(loads.map((load) => load.prepared));
    onStart();
    for (const load of loads) load.go();
    return await Promise.all(loads.map((load) => load.result));
  } finally {
    for (const load of loads) load.end();
  }
}

function startLoad(task: LoadTask) {
  const child = fork(new URL("./process.ts", import.meta.url), {
    serialization: "advanced",
    timeout: patienceMs,
  });
  const prepared = Promise.withResolvers<void>();
  const result = Promise.withResolvers<LoadResult>();
  const fail = (error: Error) => {
    prepared.reject(error);
    result.reject(error);
  };
  // Whoever waits for one of them learns of it; the other must not count as unhandled.
  prepared.promise.catch(() => undefined);
  result.promise.catch(() => undefined);
  child.on("message", (message: LoadMessage) => {
    if ("prepared" in message) prepared.resolve();
    else if ("result" in message) result.resolve(message.result);
    else fail(new Error(`the load failed: ${message.error}`));
  });
  child.once("error", fail);
  child.once("exit", (code) => fail(new Error(`the load process ended (${code})`)));
  child.send(task);
  return {
    prepared: prepared.promise,
    result: result.promise,
    go: () => void child.send("go"),
    end: () => void child.kill(),
  };
}

/** Several processes' shares of one load, as one. */
export function mergeResults(results: readonly LoadResult[]): LoadResult {
  const sum = (field: "done" | "failed" | "cpuSeconds") =>
    results.reduce((total, result) => total + result[field], 0);
  return {
    done: sum("done"),
    failed: sum("failed"),
    firstFailure: results.find((result) => result.firstFailure !== undefined)?.firstFailure,
    seconds: Math.max(...results.map(({ seconds }) => seconds)),
    latenciesMs: results.flatMap(({ latenciesMs }) => latenciesMs).sort((a, b) => a - b),
    cpuSeconds: sum("cpuSeconds"),
  };
}
