import { defineConfig } from "vitest/config";

/** The suites of ./mesh test, in the order in which it runs them. */
const suites = {
  unit: ["services/**/*.test.ts", "scripts/**/*.test.ts"],
  contract: ["test/contract/**/*.test.ts"],
  integration: ["test/integration/**/*.test.ts"],
  acceptance: ["test/acceptance/**/*.test.ts"],
  faults: ["test/faults/**/*.test.ts"],
  browser: ["test/browser/**/*.test.ts"],
};

export default defineConfig({
  test: {
    projects: Object.entries(suites).map(([name, include]) => ({
      test: {
        name,
        include,
        testTimeout: name === "unit" || name === "contract" ? 10_000 : 60_000,
        hookTimeout: 60_000,
        // What starts servers runs one file at a time: two cores carry one mesh, not four.
        fileParallelism: name === "unit" || name === "contract",
      },
    })),
  },
});
