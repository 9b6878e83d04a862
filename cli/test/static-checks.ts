import { join } from "node:path";
import { lastLine, runProgram } from "../command/run-program.ts";
import type { SuiteResult } from "./report.ts";

/** A check of the repository as it stands; each counts as a test. */
interface Check {
  readonly name: string;
  readonly command: readonly string[];
}

const checkMs = 180_000;

/** Runs every static check, and prints in their order what a failed one says. */
export async function runStaticChecks(root: string): Promise<SuiteResult> {
  const failed: string[] = [];
  const skipped: string[] = [];
  let passed = 0;
  // Side by side: each is busy on one core.
  const running = staticChecks(root).map(({ name, command }) => {
    const [program = "", ...programArguments] = command;
    return { name, command, running: run(root, program, programArguments) };
  });
  for (const { name, command, running: end } of running) {
    const result = await end;
    if (result.code === 0) {
      passed += 1;
      console.log(`  ✓ ${name}`);
    } else {
      failed.push(`${name}: ${command.join(" ")}`);
      console.log(`  ✗ ${name}\n${result.output.trimEnd()}`);
    }
  }
  const breaking = await runBreaking(root);
  if (breaking === undefined) passed += 1;
  else if (breaking.skipped) skipped.push(breaking.says);
  else failed.push(breaking.says);
  return { passed, failed, skipped };
}

function staticChecks(root: string): readonly Check[] {
  return [
    { name: "format and lint (biome)", command: ["biome", "ci", "--error-on-warnings"] },
    { name: "types (tsc)", command: ["tsc", "-p", "."] },
    { name: "types of Studio (tsc)", command: ["tsc", "-p", "services/studio/app"] },
    { name: "contracts: lint (buf)", command: ["buf", "lint"] },
    { name: "contracts: format (buf)", command: ["buf", "format", "--diff", "--exit-code"] },
    {
      name: "generated code and documentation are what proto/ says",
      command: [process.execPath, join(root, "cli/generate.ts"), "--check"],
    },
  ];
}

/** Compares the contracts with those of main. Undefined: nothing broke. */
async function runBreaking(root: string): Promise<{ skipped: boolean; says: string } | undefined> {
  const name = "contracts: nothing breaks against main (buf)";
  const base = await findBase(root);
  if (base === undefined) {
    const says = `${name}: there is no main here that holds contracts`;
    console.log(`  - ${says}`);
    return { skipped: true, says };
  }
  const result = await run(root, "buf", ["breaking", "--against", `.git#ref=${base}`]);
  if (result.code === 0) {
    console.log(`  ✓ ${name}`);
    return undefined;
  }
  console.log(`  ✗ ${name}\n${result.output.trimEnd()}`);
  return { skipped: false, says: `${name}: ${lastLine(result.output)}` };
}

/** The newest main that holds contracts: that of the remote if it is known, else the local one. */
async function findBase(root: string): Promise<string | undefined> {
  for (const ref of ["refs/remotes/origin/main", "refs/heads/main"]) {
    const found = await run(root, "git", ["cat-file", "-e", `${ref}:buf.yaml`]);
    if (found.code === 0) return ref;
  }
  return undefined;
}

function run(root: string, program: string, programArguments: readonly string[]) {
  const { PATH = "" } = process.env;
  const path = [join(root, "node_modules/.bin"), PATH].join(":");
  return runProgram(program, programArguments, {
    cwd: root,
    timeoutMs: checkMs,
    env: { ...process.env, PATH: path, NO_COLOR: "1" },
  });
}
