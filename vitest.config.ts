import { defineConfig } from "vitest/config";

/** The suites of ./mesh test, in the order in which it runs them. */
const suites = {
  unit: ["{common,engine,services,cli}/**/*.test.ts"],
  contract: ["test/contract/**/*.test.ts"],
  integration: ["test/integration/**/*.test.ts"],
  acceptance: ["test/acceptance/**/*.test.ts"],
  faults: ["test/faults/**/*.test.ts"],
  browser: ["test/browser/**/*.test.ts"],
};

/**
 * How many files run at once. What starts servers waits for them more than it computes, so two share two cores well; what
 * measures, or kills and watches, has them to itself.
 */
function workersOf(name: string): { fileParallelism?: boolean; maxWorkers?: number } {
  if (name === "unit" || name === "contract") return {};
  return name === "integration" ? { maxWorkers: 2 } : { fileParallelism: false };
}

/**
 * How long a test, a hook and the wait for a condition may take, in milliseconds: to end what hangs, and far above what a
 * slow machine needs.
 */
function patienceOf(name: string) {
  return name === "unit" || name === "contract"
    ? { testTimeout: 30_000, hookTimeout: 60_000, expect: { poll: { timeout: 5_000 } } }
    : { testTimeout: 120_000, hookTimeout: 120_000, expect: { poll: { timeout: 30_000 } } };
}

/** What holds for every file of every suite. */
const setupFiles = ["test/support/rpc/key-faults.ts"];

export default defineConfig({
  test: {
    projects: Object.entries(suites).map(([name, include]) => ({
      test: { name, include, setupFiles, ...patienceOf(name), ...workersOf(name) },
    })),
  },
});
