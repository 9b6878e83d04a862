import type { Settings } from "../state/settings.ts";
import { type MeshState, readState, removeState } from "../state/state.ts";
import { isRunning, stopProcess } from "./process-identity.ts";

/**
 * Stops what a supervisor that was killed left running, in the reverse order of its start, and forgets it.
 * Returns how many processes there were.
 */
export async function stopLeftovers(settings: Settings): Promise<number> {
  const state = readState(settings);
  if (state === undefined) return 0;
  const left = runningParts(state);
  for (const part of left.toReversed()) {
    await stopProcess({ process: part, signal: part.stopSignal, graceMs: 6_000 });
  }
  removeState(settings);
  return left.length;
}

export function runningParts(state: MeshState) {
  return state.parts.filter(isRunning);
}
