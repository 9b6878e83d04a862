import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readVitestJson, type SuiteResult, type SuiteRow, type VitestJson } from "./report.ts";
import { countStarted, startedVariable } from "./started.ts";
import { runStaticChecks } from "./static-checks.ts";

/** The suites in the order in which they run, with what each may take on a slow machine: one that hangs fails. */
export const suites = {
  static: { budgetSeconds: 600 },
  unit: { budgetSeconds: 900 },
  contract: { budgetSeconds: 900 },
  integration: { budgetSeconds: 1_800 },
  acceptance: { budgetSeconds: 900 },
  faults: { budgetSeconds: 1_800 },
  abuse: { budgetSeconds: 900 },
  browser: { budgetSeconds: 900 },
} as const;

export type SuiteName = keyof typeof suites;

export const suiteNames = Object.keys(suites) as SuiteName[];

/** What says most in the least time: before every commit. */
export const quickSuites: readonly SuiteName[] = ["static", "unit", "contract"];

/** What a run differs in from that of the whole suite. */
export interface PartOfSuite {
  /** The test files, from the repository's root, one after the other. */
  readonly files: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly budgetSeconds: number;
}

/** Runs one suite to its end, or a part of it. `path` is PATH for the tests. */
export async function runSuite(
  name: SuiteName,
  root: string,
  path: string,
  part?: PartOfSuite,
): Promise<SuiteRow> {
  const folder = mkdtempSync(join(tmpdir(), "mesh-test-"));
  const started = join(folder, "started");
  writeFileSync(started, "");
  const beganMs = performance.now();
  try {
    const result =
      name === "static"
        ? await runStaticChecks(root)
        : await runVitest(name, { root, path, folder, started, part });
    const ms = performance.now() - beganMs;
    return { name, result, ms, started: countStarted(readFileSync(started, "utf8")) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface VitestRun {
  readonly root: string;
  readonly path: string;
  /** For what the run leaves. */
  readonly folder: string;
  /** The file in which its tests note what they start. */
  readonly started: string;
  readonly part: PartOfSuite | undefined;
}

async function runVitest(name: SuiteName, run: VitestRun): Promise<SuiteResult> {
  const { root } = run;
  const budgetSeconds = run.part?.budgetSeconds ?? suites[name].budgetSeconds;
  const report = join(run.folder, "report.json");
  const ended = await spawnVitest(name, report, run, budgetSeconds);
  if (!existsSync(report)) {
    const why =
      ended === "timeout" ? `did not end within ${budgetSeconds} s` : `vitest ended (${ended})`;
    return { passed: 0, failed: [`${name}: ${why}`], skipped: [] };
  }
  const result = readVitestJson(JSON.parse(readFileSync(report, "utf8")) as VitestJson, root);
  // An error outside of any test fails the run and stands in no test's result.
  if (ended === 0 || result.failed.length > 0) return result;
  return { ...result, failed: [`${name}: vitest ended with ${ended}, see above`] };
}

function spawnVitest(
  name: SuiteName,
  report: string,
  run: VitestRun,
  budgetSeconds: number,
): Promise<number | "timeout"> {
  const { files = [], environment = {} } = run.part ?? {};
  // The star: a suite whose files run in different ways is several projects (vitest.config.ts).
  const flags = ["run", "--project", `${name}*`, "--passWithNoTests", "--reporter=default"];
  if (files.length > 0) flags.push("--no-file-parallelism", ...files);
  const json = ["--reporter=json", `--outputFile.json=${report}`];
  return new Promise((resolve, reject) => {
    const vitest = join(run.root, "node_modules/vitest/vitest.mjs");
    const child = spawn(process.execPath, [vitest, ...flags, ...json], {
      cwd: run.root,
      env: {
        ...process.env,
        ...environment,
        PATH: run.path,
        // What one process compiled, hundreds more load.
        NODE_COMPILE_CACHE: join(run.root, ".toolchain/compile-cache"),
        [startedVariable]: run.started,
      },
      stdio: ["ignore", "inherit", "inherit"],
      // A group of its own, so that what hangs is ended together with all that it started.
      detached: true,
    });
    const end = (signal: NodeJS.Signals) => {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, signal);
    };
    const interrupted = () => end("SIGTERM");
    process.once("SIGINT", interrupted);
    process.once("SIGTERM", interrupted);
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      end("SIGKILL");
    }, budgetSeconds * 1000);
    child.once("error", reject);
    child.once("exit", (code) => {
      clearTimeout(timer);
      process.off("SIGINT", interrupted);
      process.off("SIGTERM", interrupted);
      resolve(timedOut ? "timeout" : (code ?? 1));
    });
  });
}
