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
