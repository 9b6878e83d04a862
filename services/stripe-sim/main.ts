import { runMain } from "#common/process/run-main.ts";
import { stripeSimConfig } from "./config.ts";
import { createStripeSimDeps } from "./deps.ts";
import { serveStripeSim } from "./serve.ts";

await runMain(async () => {
  const config = stripeSimConfig(process.env);
  return serveStripeSim(config, createStripeSimDeps(config));
});
