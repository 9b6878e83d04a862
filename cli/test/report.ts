import { type Startable, type Started, startables } from "./started.ts";

/** What a suite came to. */
export interface SuiteResult {
  readonly passed: number;
  /** A sentence for each test that failed. */
  readonly failed: readonly string[];
  /** A sentence for each test that was not run, with the reason. */
  readonly skipped: readonly string[];
}

/** What vitest's JSON reporter writes, as far as it is read here. */
export interface VitestJson {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
    }[];
  }[];
}

/** Counts the tests of a vitest run. A file that failed without a failed test counts as one. */
export function readVitestJson(json: VitestJson, root: string): SuiteResult {
  let passed = 0;
  const failed: string[] = [];
  const skipped: string[] = [];
  for (const file of json.testResults) {
    const path = file.name.replace(`${root}/`, "");
    const failedBefore = failed.length;
    for (const { fullName, status } of file.assertionResults) {
      if (status === "passed") passed += 1;
      else if (status === "failed") failed.push(`${path}: ${fullName}`);
      else skipped.push(`${path}: ${fullName}`);
    }
    if (file.status === "failed" && failed.length === failedBefore) {
      failed.push(`${path}: ${file.message.split("\n", 1)[0]}`);
    }
  }
  return { passed, failed, skipped };
}

export function addResults(results: readonly SuiteResult[]): SuiteResult {
  return {
    passed: results.reduce((sum, result) => sum + result.passed, 0),
    failed: results.flatMap((result) => result.failed),
    skipped: results.flatMap((result) => result.skipped),
  };
}

/** The last line of ./mesh test: "12 passed, 0 failed", and ", 3 skipped" if some were. */
export function summaryLine({ passed, failed, skipped }: SuiteResult): string {
  const line = `${passed} passed, ${failed.length} failed`;
  return skipped.length === 0 ? line : `${line}, ${skipped.length} skipped`;
}

/** A suite that has run. */
export interface SuiteRow {
  readonly name: string;
  readonly result: SuiteResult;
  readonly ms: number;
  readonly started: Started;
}

const columns: Readonly<Record<Startable, string>> = {
  postgres: "PostgreSQL",
  database: "databases",
  mesh: "meshes",
  service: "services",
  tigerbeetle: "TigerBeetle",
  envoy: "Envoys",
  browser: "browsers",
};

/** What each suite came to, took and started, and all of them together, as lines of equally wide columns. */
export function suiteTable(rows: readonly SuiteRow[]): string {
  const all: SuiteRow = {
    name: "all",
    result: addResults(rows.map(({ result }) => result)),
    ms: rows.reduce((sum, { ms }) => sum + ms, 0),
    started: Object.fromEntries(
      startables.map((name) => [name, rows.reduce((sum, { started }) => sum + started[name], 0)]),
    ) as Started,
  };
  const head = ["suite", "passed", "failed", "skipped", "seconds"];
  const lines = [
    [...head, ...startables.map((name) => columns[name])],
    ...[...rows, all].map(cellsOf),
  ];
  const widths = (lines[0] ?? []).map((_, index) =>
    Math.max(...lines.map((cells) => cells[index]?.length ?? 0)),
  );
  return lines
    .map((cells) =>
      cells
        .map((cell, index) =>
          index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0),
        )
        .join("  "),
    )
    .join("\n");
}

function cellsOf({ name, result, ms, started }: SuiteRow): string[] {
  const counts = [result.passed, result.failed.length, result.skipped.length];
  return [
    name,
    ...counts.map(String),
    (ms / 1_000).toFixed(1),
    ...startables.map((what) => String(started[what])),
  ];
}
