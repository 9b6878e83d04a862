// Goal: a mesh that works steadily for hours needs no more than it did in its first. Method: clients over every protocol at
// a steady pace, and samples of every process's memory and descriptors and of the latency, printed as they drift; what
// grows on and on fails. It takes ./mesh test soak --minutes N, which is SOAK_MINUTES.
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type GrowthLimit, growthOf, median } from "../../cli/test/growth.ts";
import { JudgedLoad } from "../support/faults/judged-load.ts";
import { type ProcessSample, sampleProcesses } from "../support/faults/process-samples.ts";
import { passVerdict, verdictLine } from "../support/faults/verdict.ts";
import { hasTigerBeetle } from "../support/ledger/tigerbeetle.ts";
import { startMesh, type TestMesh } from "../support/mesh/mesh.ts";

const { SOAK_MINUTES } = process.env;
const runMs = Number(SOAK_MINUTES ?? 0) * 60_000;
const samplesCount = 120;
const sampleMsMin = 500;
const patienceMs = 300_000;
/** Each clearing is followed by a pause, so that a slow machine is not at its limit. */
const pauseMsMax = 100;

const limits = {
  memoryMb: { floor: 64, share: 0.25 },
  descriptors: { floor: 40, share: 0.25 },
} as const satisfies Record<keyof ProcessSample, GrowthLimit>;

const missing =
  (SOAK_MINUTES === undefined && "./mesh test soak --minutes 60 runs it") ||
  (!existsSync("/proc/self/fd") && "no /proc to read memory and descriptors from");

/** On a real ledger where there is one. */
const engine = hasTigerBeetle ? "tigerbeetle" : "embedded";

describe.skipIf(missing !== false)(
  `a soak on ${engine}${missing === false ? "" : ` (skipped: ${missing})`}`,
  () => {
    let mesh: TestMesh;
    let load: JudgedLoad;

    beforeAll(async () => {
      mesh = await startMesh({ engine });
      load = new JudgedLoad({ mesh, seed: 1, address: mesh.address, pauseMsMax });
      await load.start();
    }, patienceMs);
    afterAll(async () => {
      await load?.stop();
      load?.close();
      await mesh?.stop();
    }, patienceMs);

    test(
      "needs no more and no more",
      async () => {
        const drift = new Drift();
        const everyMs = Math.max(sampleMsMin, runMs / samplesCount);
        for (const endMs = performance.now() + runMs; performance.now() < endMs; ) {
          await sleep(everyMs);
          drift.take(sampleProcesses(mesh), load.latenciesMs.splice(0));
        }
        const verdict = await passVerdict(mesh, load);
        console.log(drift.text());
        console.log(verdictLine(verdict));
        const { lost, doubled, wrong, strange } = verdict;
        expect({ lost, doubled, wrong, strange }).toEqual({
          lost: [],
          doubled: [],
          wrong: [],
          strange: [],
        });
        expect(drift.unbounded()).toEqual([]);
      },
      runMs + 3 * patienceMs,
    );
  },
);

/** Samples over time. */
class Drift {
  readonly #series = new Map<string, number[]>();

  take(processes: ReadonlyMap<string, ProcessSample>, latenciesMs: readonly number[]): void {
    for (const [name, { memoryMb, descriptors }] of processes) {
      this.#push(`${name} memoryMb`, memoryMb);
      this.#push(`${name} descriptors`, descriptors);
    }
    const sorted = latenciesMs.toSorted((a, b) => a - b);
    this.#push("latency p50 ms", median(sorted));
    this.#push("latency p99 ms", sorted[Math.floor(0.99 * (sorted.length - 1))] ?? 0);
  }

  /** A line for each series: its medians from the second quarter of the time to the last. */
  text(): string {
    return [...this.#series]
      .map(([name, samples]) => {
        const { medians = [samples[0] ?? 0, samples.at(-1) ?? 0] } =
          growthOf(samples, limits.memoryMb) ?? {};
        return `${name.padEnd(28)} ${medians.map((value) => value.toFixed(1)).join(" → ")}`;
      })
      .join("\n");
  }

  /** The series that grow on and on. Latency is told and not judged: the machine has other work. */
  unbounded(): string[] {
    return [...this.#series].flatMap(([name, samples]) => {
      const limit = Object.entries(limits).find(([kind]) => name.endsWith(kind))?.[1];
      const growth = limit && growthOf(samples, limit);
      return growth?.isUnbounded === true ? [`${name}: ${growth.medians.join(", ")}`] : [];
    });
  }

  #push(name: string, value: number): void {
    const samples = this.#series.get(name) ?? [];
    this.#series.set(name, [...samples, value]);
  }
}
