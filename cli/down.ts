import { readArguments, runCommand } from "./command/command.ts";
import { readSettings } from "./state/settings.ts";
import { stopMesh } from "./supervisor/stop-mesh.ts";

runCommand(async () => {
  readArguments({}, "./mesh down");
  await stopMesh(readSettings(process.env));
  return 0;
});
