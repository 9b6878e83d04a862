import { createServer, type Server } from "node:http";
import { healthListener } from "#common/process/health-listener.ts";
import { closeHttp, listenHttp } from "#common/process/listen-http.ts";
import { type Stopping, stopOnSignal } from "#common/process/stop-on-signal.ts";
import type { Certificates } from "#common/process/tls/certificates.ts";
import { createHttpServer } from "#common/process/tls/http-server.ts";
import { openWire } from "#common/process/tls/open-wire.ts";
import type { StripeSimConfig } from "./config.ts";
import type { StripeSimDeps } from "./deps.ts";
import { createListener } from "./http/listener.ts";

/** The simulator, listening. */
export interface RunningStripeSim extends Stopping {
  /** The port in use, also where the configuration said 0. */
  readonly port: number;
}

const limits = {
  requestTimeout: 10_000,
  headersTimeout: 5_000,
  keepAliveTimeout: 75_000,
  maxHeaderSize: 16_384,
};

/** Serves until told to stop. Rejects with a ConfigError if the address cannot be listened on. */
export async function serveStripeSim(
  config: StripeSimConfig,
  deps: StripeSimDeps,
): Promise<RunningStripeSim> {
  const { logger } = deps;
  let certificates: Certificates | undefined;
  const servers: Server[] = [];
  const end = async () => {
    for (const server of servers) server.close();
    certificates?.close();
    await deps.close();
  };
  try {
    certificates = openWire(config.wire, "stripe-sim", logger);
    const security = certificates && {
      ...config,
      name: "stripe-sim" as const,
      certificates,
      logger,
    };
    const server = createHttpServer({ http1: limits, security }, createListener(deps));
    server.maxConnections = 1_000;
    servers.push(server);
    const port = await listenHttp(server, "STRIPE_SIM_ADDRESS", config.address);
    if (config.metrics !== undefined) {
      const health = createHealth(certificates);
      servers.push(health);
      await listenHttp(health, "METRICS_ADDRESS", config.metrics);
    }
    const webhooks = config.webhook?.url ?? "none by environment";
    logger.warn(
      { port, webhooks, kept: config.path === "" ? "in memory alone" : config.path },
      "a SIMULATOR of Stripe: no money moves here",
    );
    deps.wake();
    const stopping = stopOnSignal(logger, async (forced) => {
      for (const each of servers) await closeHttp(each, config.drainGraceMs, forced);
      await end();
      logger.info("stopped");
    });
    return { port, ...stopping };
  } catch (error) {
    await end();
    throw error;
  }
}

/** It needs nothing to be ready, so it is ready while it listens. */
function createHealth(certificates: Certificates | undefined): Server {
  return createServer(
    limits,
    healthListener({
      service: "stripe-sim",
      ready: () => true,
      dependencies: () => [],
      certificateExpiresMs: certificates && (() => certificates.current().expiresMs),
    }),
  );
}
