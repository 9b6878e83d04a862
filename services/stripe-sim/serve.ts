import { createServer } from "node:http";
import { closeHttp, listenHttp } from "#common/process/listen-http.ts";
import { type Stopping, stopOnSignal } from "#common/process/stop-on-signal.ts";
import type { StripeSimConfig } from "./config.ts";
import type { StripeSimDeps } from "./deps.ts";
import { createListener } from "./http/listener.ts";

/** The simulator, listening. */
export interface RunningStripeSim extends Stopping {
  /** The port in use, also where the configuration said 0. */
  readonly port: number;
}

/** Serves until told to stop. Rejects with a ConfigError if the address cannot be listened on. */
export async function serveStripeSim(
  config: StripeSimConfig,
  deps: StripeSimDeps,
): Promise<RunningStripeSim> {
  const limits = {
    requestTimeout: 10_000,
    headersTimeout: 5_000,
    keepAliveTimeout: 75_000,
    maxHeaderSize: 16_384,
  };
  const server = createServer(limits, createListener(deps));
  server.maxConnections = 1_000;
  try {
    const port = await listenHttp(server, "STRIPE_SIM_ADDRESS", config.address);
    const webhooks = config.webhook?.url ?? "none by environment";
    deps.logger.warn(
      { port, webhooks, kept: config.path === "" ? "in memory alone" : config.path },
      "a SIMULATOR of Stripe: no money moves here",
    );
    deps.wake();
    const stopping = stopOnSignal(deps.logger, async (forced) => {
      await closeHttp(server, config.drainGraceMs, forced);
      await deps.close();
      deps.logger.info("stopped");
    });
    return { port, ...stopping };
  } catch (error) {
    server.close();
    await deps.close();
    throw error;
  }
}
