import { readArguments, runCommand } from "./lib/command.ts";
import { readSettings } from "./lib/settings.ts";
import { stopMesh } from "./lib/stop-mesh.ts";

runCommand(async () => {
  readArguments({}, "./mesh down");
  await stopMesh(readSettings(process.env));
  return 0;
});
