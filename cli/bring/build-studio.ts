import { runCommand } from "../command/command.ts";
import { buildStudio } from "../parts/studio-build.ts";
import { repositoryRoot } from "../state/settings.ts";

/** Builds Studio, the browser app, into services/studio/dist. ./mesh up does so by itself when it must. */
runCommand(async () => {
  await buildStudio(repositoryRoot);
  return 0;
});
