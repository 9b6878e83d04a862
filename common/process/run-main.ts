import { ConfigError } from "./environment.ts";

/** What a process gets to end by itself once it has stopped, in milliseconds. */
const lingerMs = 1_000;

/**
 * Runs a service from start to stop and sets the exit code. A bad variable or a port in use is one line on standard
 * error, which is all that helps then; anything else that stops the start is a fault of ours and shows its stack. What is
 * left open when it has stopped does not keep the process: a database that stands still answers no goodbye.
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
  // Unreferenced: it fires only while something else keeps the process.
  setTimeout(() => process.exit(), lingerMs).unref();
}
