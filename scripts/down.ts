import { readArguments, runCommand } from "./lib/command.ts";
import { readSettings } from "./lib/settings.ts";
import { readState } from "./lib/state.ts";
import { stopMesh } from "./lib/stop-mesh.ts";

runCommand(async () => {
  readArguments({}, "./mesh down");
  const settings = readSettings(process.env);
  if (readState(settings) === undefined) {
    console.log("no mesh is running here");
    return 0;
  }
  console.log("stopping …");
  const left = await stopMesh(settings);
  console.log(left > 0 ? `stopped, with ${left} processes that were left running` : "stopped");
  return 0;
});
