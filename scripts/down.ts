import { readArguments, runCommand } from "./lib/command.ts";
import { Problem } from "./lib/problem.ts";
import { isRunning, stopProcess } from "./lib/process-identity.ts";
import { readSettings } from "./lib/settings.ts";
import { readState } from "./lib/state.ts";
import { stopLeftovers } from "./lib/stop-leftovers.ts";

/** The supervisor gives every part its own time; this is more than all of them together. */
const stopMs = 45_000;

runCommand(async () => {
  readArguments({}, "./mesh down");
  const settings = readSettings(process.env);
  const state = readState(settings);
  if (state === undefined) {
    console.log("no mesh is running here");
    return 0;
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
  return 0;
});
