import { describe, expect, it } from "vitest";
import { addResults, readVitestJson, suiteTable, summaryLine } from "./report.ts";
import { countStarted } from "./started.ts";

const file = (status: string, tests: [string, string][], message = "") => ({
  name: "/repo/a.test.ts",
  status,
  message,
  assertionResults: tests.map(([fullName, state]) => ({ fullName, status: state })),
});

describe("readVitestJson", () => {
  it("counts what passed and names what did not", () => {
    const tests: [string, string][] = [
      ["adds", "passed"],
      ["subtracts", "failed"],
      ["divides (needs tigerbeetle)", "skipped"],
      ["multiplies", "todo"],
    ];
    expect(readVitestJson({ testResults: [file("failed", tests)] }, "/repo")).toEqual({
      passed: 1,
      failed: ["a.test.ts: subtracts"],
      skipped: ["a.test.ts: divides (needs tigerbeetle)", "a.test.ts: multiplies"],
    });
  });

  it("counts a file that could not be loaded as one failure", () => {
    const broken = file("failed", [], "Cannot find module\n  at x");
    expect(readVitestJson({ testResults: [broken] }, "/repo").failed).toEqual([
      "a.test.ts: Cannot find module",
    ]);
  });
});

describe("summaryLine", () => {
  it("says how many, and speaks of skipped tests only if there are any", () => {
    const one = { passed: 1, failed: [], skipped: [] };
    const other = { passed: 2, failed: ["x"], skipped: ["y"] };
    expect(summaryLine(one)).toBe("1 passed, 0 failed");
    expect(summaryLine(addResults([one, other]))).toBe("3 passed, 1 failed, 1 skipped");
  });
});

describe("suiteTable", () => {
  it("says what each suite came to, took and started, and all together", () => {
    const rows = [
      {
        name: "unit",
        result: { passed: 1_324, failed: [], skipped: ["x"] },
        ms: 20_049,
        started: countStarted("tigerbeetle\ntigerbeetle\n"),
      },
      {
        name: "browser",
        result: { passed: 26, failed: ["y"], skipped: [] },
        ms: 60_951,
        started: countStarted("mesh\nservice\nservice\nbrowser\n"),
      },
    ];
    expect(suiteTable(rows).split("\n")).toEqual([
      "suite    passed  failed  skipped  seconds  PostgreSQL  databases  meshes  services  TigerBeetle  Envoys  browsers",
      "unit       1324       0        1     20.0           0          0       0         0            2       0         0",
      "browser      26       1        0     61.0           0          0       1         2            0       0         1",
      "all        1350       1        1     81.0           0          0       1         2            2       0         1",
    ]);
  });
});
