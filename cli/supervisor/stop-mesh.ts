import { Problem } from "../command/problem.ts";
import { isRunning } from "../state/process-identity.ts";
import type { Settings } from "../state/settings.ts";
import { readState } from "../state/state.ts";
import { stopLeftovers } from "./stop-leftovers.ts";
import { stopProcess } from "./stop-process.ts";

/** The supervisor gives every part its own time; this is more than all of them together. */
const stopMs = 45_000;

/** Stops the mesh of this state folder, and whatever a supervisor that was killed has left. Says so on the console. */
export async function stopMesh(settings: Settings): Promise<void> {
  const state = readState(settings);
  if (state === undefined) {
    console.log("no mesh is running here");
    return;
  }
  if (isRunning(state.supervisor)) {
    console.log("stopping …");
    const gone = await stopProcess({
      process: state.supervisor,
      signal: "SIGTERM",
      graceMs: stopMs,
    });
    if (!gone) throw new Problem(`process ${state.supervisor.pid} cannot be stopped`);
  }
  // Nothing is left after a supervisor that ended by itself; one that was killed left its parts.
  const left = await stopLeftovers(settings);
  console.log(left > 0 ? `stopped, with ${left} processes that were left running` : "stopped");
}
