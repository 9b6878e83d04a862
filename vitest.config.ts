import { availableParallelism } from "node:os";
import { configDefaults, defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** The suites of ./mesh test, in the order in which it runs them. */
const suites = {
  unit: ["{common,engine,services,cli}/**/*.test.ts"],
  contract: ["test/contract/**/*.test.ts"],
  integration: ["test/integration/**/*.test.ts"],
  acceptance: ["test/acceptance/**/*.test.ts"],
  faults: ["test/faults/**/*.test.ts"],
  abuse: ["test/abuse/**/*.test.ts"],
  browser: ["test/browser/**/*.test.ts"],
};

/** What takes longest of each suite: it begins first, so that nobody waits for it alone at the end. */
const longest = [
  "engine/fuzz",
  "engine/behaviours",
  "contract/rpc-streams",
  "integration/audit",
  "integration/clearing-faults",
  "integration/mesh",
  "integration/eventstream",
  "integration/up",
  "integration/image",
  "faults/clearing-crash",
  "faults/every-answer",
  "faults/eventstream",
  "faults/eventstream-mesh",
  "browser/studio",
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rankOf = ({ moduleId }: TestSpecification) => {
      const rank = longest.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
      return rank === -1 ? longest.length : rank;
    };
    return (await super.sort(files)).toSorted((a, b) => rankOf(a) - rankOf(b));
  }
}

/** What holds times against each other has the machine to itself, after the rest of its suite. */
const measuring = ["test/faults/eventstream-slow.test.ts"];

/** All but one wait more than they compute, so there is one more of them than cores. */
const besideEachOther = availableParallelism() + 1;

/**
 * How many files run at once, and in what. Those that start servers wait for them, for expiries and for restarts; above
 * three they would make each other wait.
 */
function workersOf(name: string): { maxWorkers: number; isolate?: boolean } {
  // Files of pure code share a process: to load it all once more for each costs more than they do.
  if (name === "unit") return { maxWorkers: besideEachOther, isolate: false };
  return { maxWorkers: name === "contract" ? besideEachOther : Math.min(besideEachOther, 3) };
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

/** What a suite starts once for all of its files. */
const sharedPostgres = ["test/support/postgres/shared.ts"];

const projects = Object.entries(suites).map(([name, include]) => ({
  test: {
    name,
    include,
    exclude: [...configDefaults.exclude, ...measuring],
    setupFiles,
    globalSetup: name === "integration" || name === "faults" ? sharedPostgres : [],
    ...patienceOf(name),
    ...workersOf(name),
  },
}));

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      ...projects,
      {
        test: {
          name: "faults, alone",
          include: measuring,
          setupFiles,
          globalSetup: sharedPostgres,
          ...patienceOf("faults"),
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
