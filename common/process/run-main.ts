import { ConfigError } from "./environment.ts";

/**
 * Runs a service from start to stop and sets the exit code. A bad variable or a port in use is one line on standard
 * error, which is all that helps then; anything else that stops the start is a fault of ours and shows its stack.
 */
export async function runMain(
  start: () => Promise<{ readonly stopped: Promise<void> }>,
): Promise<void> {
  try {
    const running = await start();
    await running.stopped;
  } catch (error) {
    const text =
      error instanceof ConfigError
        ? error.message
        : error instanceof Error
          ? error.stack
          : String(error);
    process.stderr.write(`${text}\n`);
    process.exitCode = 1;
  }
}
