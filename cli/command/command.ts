import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { ConfigError } from "#common/process/environment.ts";
import { Problem } from "./problem.ts";

/**
 * Runs a command of ./mesh. What `main` returns is the exit code. What the user can put right ends in one line, anything
 * else is a fault of ours and shows its stack.
 */
export function runCommand(main: () => Promise<number>): void {
  main().then(
    (code) => {
      process.exitCode = code;
    },
    (error: unknown) => {
      const forUser = error instanceof Problem || error instanceof ConfigError;
      console.error(forUser ? `mesh: ${error.message}` : error);
      process.exitCode = 1;
    },
  );
}

/** The arguments of a command, strict: an unknown option is a Problem that shows `usage`. */
export function readArguments<const Options extends ParseArgsOptionsConfig>(
  options: Options,
  usage: string,
) {
  try {
    return parseArgs({ options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new Problem(`${error instanceof Error ? error.message : error} (usage: ${usage})`);
  }
}
