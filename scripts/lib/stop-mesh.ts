import { Problem } from "./problem.ts";
import { isRunning, stopProcess } from "./process-identity.ts";
import type { Settings } from "./settings.ts";
import { readState } from "./state.ts";
import { stopLeftovers } from "./stop-leftovers.ts";

/** The supervisor gives every part its own time; this is more than all of them together. */
const stopMs = 45_000;

/**
 * Stops the mesh of this state folder, if one runs. Returns how many processes a supervisor that was killed
 * had left running, which are stopped too.
 */
export async function stopMesh(settings: Settings): Promise<number> {
  const supervisor = readState(settings)?.supervisor;
  if (supervisor !== undefined && isRunning(supervisor)) {
    const gone = await stopProcess({ process: supervisor, signal: "SIGTERM", graceMs: stopMs });
    if (!gone) throw new Problem(`process ${supervisor.pid} cannot be stopped`);
  }
  return stopLeftovers(settings);
}
