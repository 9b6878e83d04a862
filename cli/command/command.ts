import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { ConfigError } from "#common/process/environment.ts";
import { fileProblem, Problem } from "./problem.ts";

/**
 * Runs a command of ./mesh. What `main` returns is the exit code. What the user can put right ends in one line, anything
 * else is a fault of ours and shows its stack.
 */
export function runCommand(main: () => Promise<number>): void {
  endWithReader(process.stdout);
  main().then(
    (code) => {
      process.exitCode = code;
    },
    (thrown: unknown) => {
      const error = fileProblem(thrown) ?? thrown;
      const forUser = error instanceof Problem || error instanceof ConfigError;
      console.error(forUser ? `mesh: ${error.message}` : error);
      process.exitCode = 1;
    },
  );
}

/** What a shell says of a program that SIGPIPE ended. */
const brokenPipeCode = 141;

/**
 * Ends the command when nobody reads its output any more, as in `./mesh demo | head`: quietly, and after what it does
 * when it is told to stop.
 */
function endWithReader(output: NodeJS.WriteStream): void {
  let isGone = false;
  output.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    if (isGone) return;
    isGone = true;
    if (process.listenerCount("SIGTERM") === 0) process.exit(brokenPipeCode);
    process.kill(process.pid, "SIGTERM");
  });
}

/**
 * The arguments of a command, strict: an unknown option is a Problem that shows `usage`. `args`: in place of all that the
 * process was given.
 */
export function readArguments<const Options extends ParseArgsOptionsConfig>(
  options: Options,
  usage: string,
  args: readonly string[] = process.argv.slice(2),
) {
  try {
    return parseArgs({ options, args: [...args], allowPositionals: true, strict: true });
  } catch (error) {
    throw new Problem(`${error instanceof Error ? error.message : error} (usage: ${usage})`);
  }
}
