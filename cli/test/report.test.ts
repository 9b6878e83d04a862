import { describe, expect, it } from "vitest";
import { addResults, readVitestJson, summaryLine } from "./report.ts";

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
