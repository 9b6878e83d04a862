import { createServer, type Server } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { type Address, ConfigError, formatAddress } from "#common/rpc/environment.ts";
import type { StripeSimConfig } from "./config.ts";
import type { StripeSimDeps } from "./deps.ts";
import { createListener } from "./listener.ts";

/** The simulator, listening. */
export interface RunningStripeSim {
  /** The port in use, also where the configuration said 0. */
  readonly port: number;
  /** Stops as SIGTERM does; a second call cuts at once. Resolves when all is closed. */
  stop(): Promise<void>;
  /** Resolves when it has stopped, whatever stopped it. */
  readonly stopped: Promise<void>;
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
    const port = await listen(server, config.address);
    const webhooks = config.webhook?.url ?? "none by environment";
    deps.logger.warn(
      { port, webhooks, kept: config.path === "" ? "in memory alone" : config.path },
      "a SIMULATOR of Stripe: no money moves here",
    );
    deps.wake();
    return run(config, deps, server, port);
  } catch (error) {
    server.close();
    await deps.close();
    throw error;
  }
}

function listen(server: Server, address: Address): Promise<number> {
  return new Promise((resolve, reject) => {
    const refuse = (error: Error) =>
      reject(
        new ConfigError(
          "STRIPE_SIM_ADDRESS",
          formatAddress(address),
          `cannot listen there (${error.message})`,
        ),
      );
    server.once("error", refuse);
    server.listen({ host: address.host, port: address.port }, () => {
      server.off("error", refuse);
      const bound = server.address();
      resolve(typeof bound === "object" && bound !== null ? bound.port : address.port);
    });
  });
}

function run(
  config: StripeSimConfig,
  deps: StripeSimDeps,
  server: Server,
  port: number,
): RunningStripeSim {
  const forced = new AbortController();
  const end = Promise.withResolvers<void>();
  let stopping = false;

  async function drain(): Promise<void> {
    const { signal } = forced;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    const grace = sleep(config.drainGraceMs, undefined, { signal, ref: false }).catch(
      () => undefined,
    );
    await Promise.race([closed, grace]);
    server.closeAllConnections();
    await deps.close();
    deps.logger.info("stopped");
  }

  function stop(): Promise<void> {
    if (stopping) forced.abort();
    else {
      stopping = true;
      drain()
        .finally(() => process.off("SIGTERM", onSignal).off("SIGINT", onSignal))
        .then(end.resolve, end.reject);
    }
    return end.promise;
  }

  function onSignal(signal: NodeJS.Signals): void {
    deps.logger.info({ signal }, stopping ? "forced to stop" : "stopping");
    stop().catch((error: unknown) => deps.logger.error({ err: error }, "stopped with an error"));
  }

  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  return { port, stop, stopped: end.promise };
}
