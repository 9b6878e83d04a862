import { Problem } from "../command/problem.ts";
import { isRunning } from "../state/process-identity.ts";
import type { Settings } from "../state/settings.ts";
import { readState } from "../state/state.ts";
import { stopProcess } from "./stop-process.ts";
import { stopLeftovers } from "./take-over.ts";

/** The supervisor gives every part its own time; this is more than all of them together. */
const stopMs = 45_000;

/** Stops the mesh of this state folder, and whatever a supervisor that was killed has left. Says so on the console. */
export async function stopMesh(settings: Settings): Promise<void> {
  const state = readState(settings);
  const supervised = state !== undefined && isRunning(state.supervisor);
  if (supervised) {
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
  if (left > 0) console.log(`stopped, with ${left} processes that were left running`);
  else console.log(state === undefined ? "no mesh is running here" : "stopped");
}
