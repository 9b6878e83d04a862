import { runCommand } from "./lib/command.ts";
import { repositoryRoot } from "./lib/settings.ts";
import { buildStudio } from "./lib/studio-build.ts";

/** Builds Studio, the browser app, into services/studio/dist. ./mesh up does so by itself when it must. */
runCommand(async () => {
  await buildStudio(repositoryRoot);
  return 0;
});
