import { isRunning } from "../state/process-identity.ts";
import type { Settings } from "../state/settings.ts";
import { readState, removeState } from "../state/state.ts";
import { stopProcess } from "./stop-process.ts";

/**
 * Stops what a supervisor that was killed left running, in the reverse order of its start, and forgets it.
 * Returns how many processes there were.
 */
export async function stopLeftovers(settings: Settings): Promise<number> {
  const state = readState(settings);
  if (state === undefined) return 0;
  const left = state.parts.filter(isRunning);
  for (const part of left.toReversed()) {
    await stopProcess({ process: part, signal: part.stopSignal, graceMs: 6_000 });
  }
  removeState(settings);
  return left.length;
}
