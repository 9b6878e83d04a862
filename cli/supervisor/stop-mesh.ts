import { Problem } from "../command/problem.ts";
import type { Settings } from "../state/settings.ts";
import { findSupervisor, readState } from "../state/state.ts";
import { stopProcess } from "./stop-process.ts";
import { stopLeftovers } from "./take-over.ts";

/** The supervisor gives every part its own time; this is more than all of them together. */
const stopMs = 45_000;

/** Stops the mesh of this state folder, and whatever a supervisor that was killed has left. Says so on the console. */
export async function stopMesh(settings: Settings): Promise<void> {
  const wasKnown = readState(settings) !== undefined;
  const supervisor = findSupervisor(settings);
  if (supervisor !== undefined) {
    console.log("stopping …");
    const gone = await stopProcess({ process: supervisor, signal: "SIGTERM", graceMs: stopMs });
    if (!gone) throw new Problem(`process ${supervisor.pid} cannot be stopped`);
  }
  // Nothing is left after a supervisor that ended by itself; one that was killed left its parts.
  const left = await stopLeftovers(settings);
  if (left > 0) console.log(`stopped, with ${left} processes that were left running`);
  else console.log(wasKnown || supervisor !== undefined ? "stopped" : "no mesh is running here");
}
