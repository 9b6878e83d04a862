import { randomInt } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Problem } from "../command/problem.ts";
import { summaryLine } from "./report.ts";
import { type PartOfSuite, runSuite } from "./suites.ts";

/** What runs for as long as one likes, and is no part of ./mesh test. */
export const longRuns = ["faults", "soak"] as const;
export type LongRun = (typeof longRuns)[number];

export interface LongRunOptions {
  readonly minutes: number;
  /** Of the plan of the faults. */
  readonly seed: number;
}

const minutesMax = 7 * 24 * 60;
const seedMax = 2 ** 32 - 1;
/** Starts, checks and settling come on top, on a slow machine. */
const besidesSeconds = 3_600;
/** Of the time: what the random mix of faults has; the rest is shared by those that judge one thing closely. */
const mixShare = 0.6;
/** A shopper comes in every second or so of a run. */
const checkoutsPerMinute = 40;

/** Reads --minutes and --seed. A Problem names what is wrong; without a seed there is one by chance. */
export function readLongRun(minutes: string, seed: string | undefined): LongRunOptions {
  const wanted = Number(minutes);
  if (!/^[0-9]+(\.[0-9]+)?$/.test(minutes) || wanted <= 0 || wanted > minutesMax) {
    throw new Problem(`--minutes ${minutes}: give a number of minutes up to ${minutesMax}`);
  }
  if (seed !== undefined && (!/^[0-9]{1,10}$/.test(seed) || Number(seed) > seedMax)) {
    throw new Problem(`--seed ${seed}: give a whole number up to ${seedMax}`);
  }
  return { minutes: wanted, seed: seed === undefined ? randomInt(seedMax) : Number(seed) };
}

/** Runs it, with what it says on the console, and prints one line at the end. Resolves with the exit code. */
export async function runLong(
  run: LongRun,
  options: LongRunOptions,
  root: string,
  path: string,
): Promise<number> {
  const { minutes, seed } = options;
  const again = run === "faults" ? ` --seed ${seed}` : "";
  console.log(`${minutes} minutes: ./mesh test ${run} --minutes ${minutes}${again}`);
  const folder = mkdtempSync(join(tmpdir(), "mesh-long-"));
  const report = join(folder, "report");
  writeFileSync(report, "");
  try {
    const part = run === "faults" ? faultRun(options, report) : soakRun(options);
    const { result } = await runSuite("faults", root, path, part);
    if (result.failed.length > 0) console.log(`\nfailed:\n  ${result.failed.join("\n  ")}`);
    if (result.skipped.length > 0) console.log(`\nskipped:\n  ${result.skipped.join("\n  ")}`);
    console.log(`\n${summaryLine(result)}`);
    if (run === "faults") console.log(faultLine(seed, readFileSync(report, "utf8")));
    return result.failed.length === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * The mix of all, then the stream with restless subscribers, then a market with webhooks in chaos, on every engine; and
 * every RPC in every protocol under each fault, which takes the time that it takes.
 */
function faultRun({ minutes, seed }: LongRunOptions, report: string): PartOfSuite {
  const othersSeconds = Math.ceil((minutes * 60 * (1 - mixShare)) / 4);
  return {
    files: ["random-mix", "eventstream-mesh", "checkout-mesh", "every-answer"].map(
      (name) => `test/faults/${name}.test.ts`,
    ),
    environment: {
      FAULT_MINUTES: String(minutes * mixShare),
      FAULT_SEED: String(seed),
      FAULT_WALK: "full",
      FAULT_SECONDS: String(othersSeconds),
      FAULT_CHECKOUTS: String(Math.ceil((othersSeconds / 60) * checkoutsPerMinute)),
      FAULT_REPORT: report,
    },
    budgetSeconds: minutes * 60 + besidesSeconds,
  };
}

function soakRun({ minutes }: LongRunOptions): PartOfSuite {
  return {
    files: ["test/faults/soak.test.ts"],
    environment: { SOAK_MINUTES: String(minutes) },
    budgetSeconds: minutes * 60 + besidesSeconds,
  };
}

/** What all engines of the mix did together. */
export function faultLine(seed: number, report: string): string {
  const runs = report
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Readonly<Record<string, number>>);
  const sum = (key: string) => runs.reduce((total, counts) => total + (counts[key] ?? 0), 0);
  return [
    `seed ${seed}: ${sum("faults")} faults`,
    `${sum("answered")} answers`,
    `${sum("cleared")} acknowledged`,
    `lost ${sum("lost")}`,
    `doubled ${sum("doubled")}`,
    `wrong ${sum("wrong")}`,
    `answers without a reason ${sum("strange")}`,
  ].join(", ");
}
