import { runMain } from "#common/rpc/run-main.ts";
import { stripeSimConfig } from "./config.ts";
import { createStripeSimDeps } from "./deps.ts";
import { serveStripeSim } from "./serve-stripe-sim.ts";

await runMain(async () => {
  const config = stripeSimConfig(process.env);
  return serveStripeSim(config, createStripeSimDeps(config));
});
