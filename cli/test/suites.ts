import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readVitestJson, type SuiteResult, type VitestJson } from "./report.ts";
import { runStaticChecks } from "./static-checks.ts";

/** The suites in the order in which they run, with what each may take on a slow machine: one that hangs fails. */
export const suites = {
  static: { budgetSeconds: 600 },
  unit: { budgetSeconds: 900 },
  contract: { budgetSeconds: 900 },
  integration: { budgetSeconds: 1_800 },
  acceptance: { budgetSeconds: 900 },
  faults: { budgetSeconds: 1_800 },
  browser: { budgetSeconds: 900 },
} as const;

export type SuiteName = keyof typeof suites;

export const suiteNames = Object.keys(suites) as SuiteName[];

/** Runs one suite to its end. `path` is PATH for the tests. */
export function runSuite(name: SuiteName, root: string, path: string): Promise<SuiteResult> {
  return name === "static" ? runStaticChecks(root) : runVitest(name, root, path);
}

async function runVitest(name: SuiteName, root: string, path: string): Promise<SuiteResult> {
  const { budgetSeconds } = suites[name];
  const folder = mkdtempSync(join(tmpdir(), "mesh-test-"));
  const report = join(folder, "report.json");
  try {
    const ended = await spawnVitest(name, report, { root, path, budgetSeconds });
    if (!existsSync(report)) {
      const why =
        ended === "timeout" ? `did not end within ${budgetSeconds} s` : `vitest ended (${ended})`;
      return { passed: 0, failed: [`${name}: ${why}`], skipped: [] };
    }
    const result = readVitestJson(JSON.parse(readFileSync(report, "utf8")) as VitestJson, root);
    // An error outside of any test fails the run and stands in no test's result.
    if (ended === 0 || result.failed.length > 0) return result;
    return { ...result, failed: [`${name}: vitest ended with ${ended}, see above`] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface VitestRun {
  readonly root: string;
  readonly path: string;
  readonly budgetSeconds: number;
}

function spawnVitest(name: string, report: string, run: VitestRun): Promise<number | "timeout"> {
  const flags = ["run", "--project", name, "--passWithNoTests", "--reporter=default"];
  const json = ["--reporter=json", `--outputFile.json=${report}`];
  return new Promise((resolve, reject) => {
    const vitest = join(run.root, "node_modules/vitest/vitest.mjs");
    const child = spawn(process.execPath, [vitest, ...flags, ...json], {
      cwd: run.root,
      env: { ...process.env, PATH: run.path },
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
    }, run.budgetSeconds * 1000);
    child.once("error", reject);
    child.once("exit", (code) => {
      clearTimeout(timer);
      process.off("SIGINT", interrupted);
      process.off("SIGTERM", interrupted);
      resolve(timedOut ? "timeout" : (code ?? 1));
    });
  });
}
