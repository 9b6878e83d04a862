import { runMain } from "#common/process/run-main.ts";
import { studioConfig } from "./config.ts";
import { createStudioDeps } from "./deps.ts";
import { serveStudio } from "./serve.ts";

await runMain(async () => {
  const config = studioConfig(process.env);
  return serveStudio(config, await createStudioDeps(config));
});
