import { join } from "node:path";
import { findProgram, isExecutable, lastLine, runProgram } from "../command/run-program.ts";

const buildMs = 300_000;

export interface GoInstall {
  /** The program's name: "grpcurl". */
  readonly name: string;
  /** Its package with the pinned version: "example.com/cmd/x@v1.2.3". */
  readonly pinned: string;
  /** The folder to install into. */
  readonly bin: string;
}

/** Builds a program from Go's module proxy, unless it is on PATH or in `bin` already. Returns why it could not, if so. */
export async function goInstall({ name, pinned, bin }: GoInstall): Promise<string | undefined> {
  if (findProgram(name) !== undefined || isExecutable(join(bin, name))) return undefined;
  const go = findProgram("go");
  if (go === undefined) return "it is not on PATH, and there is no Go to build it";
  console.log(`building ${name} …`);
  const env = { ...process.env, GOBIN: bin };
  const result = await runProgram(go, ["install", pinned], { env, timeoutMs: buildMs });
  return result.code === 0 ? undefined : lastLine(result.output);
}
