import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

export interface ProgramResult {
  /** Undefined if it could not be started or was killed. */
  readonly code: number | undefined;
  /** stdout and stderr together; the last megabyte at most. */
  readonly output: string;
}

export interface ProgramOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly timeoutMs: number;
  /** Kills the program when it fires. */
  readonly signal?: AbortSignal;
  readonly uid?: number;
  readonly gid?: number;
}

const outputCharactersMax = 1_000_000;

/** Runs a program to its end. Never throws: a program that cannot be started has no code and says why. */
export function runProgram(
  command: string,
  programArguments: readonly string[],
  options: ProgramOptions,
): Promise<ProgramResult> {
  const { timeoutMs, ...spawnOptions } = options;
  return new Promise((resolve) => {
    let output = "";
    const child = spawn(command, programArguments, {
      ...spawnOptions,
      timeout: timeoutMs,
      killSignal: "SIGKILL",
      stdio: ["ignore", "pipe", "pipe"],
    });
    const collect = (chunk: Buffer) => {
      output = (output + chunk.toString("utf8")).slice(-outputCharactersMax);
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.once("error", (error) => resolve({ code: undefined, output: error.message }));
    child.once("close", (code) => resolve({ code: code ?? undefined, output }));
  });
}

/** The full path of a program on PATH, or undefined. */
export function findProgram(name: string): string | undefined {
  const { PATH = "" } = process.env;
  const folders = PATH.split(delimiter).filter((folder) => folder !== "");
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The last line of an output that says something. */
export function lastLine(output: string): string {
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  return lines.at(-1)?.trim().slice(0, 300) ?? "no output";
}

/** Why a program says that it has failed: the last line that names an error, else the last at all. On one line. */
export function failureIn(output: string): string {
  const lines = output.split("\n").filter((line) => /\b(error|FATAL|PANIC)\b/.test(line));
  const line = lastLine(lines.length === 0 ? output : lines.join("\n"));
  return line.includes("No space left on device")
    ? `${line}: make room, then run this again`
    : line;
}
