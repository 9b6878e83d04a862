import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { type Address, ConfigError, formatAddress } from "#common/rpc/environment.ts";
import { durationHistogram, getMeter, metricsHandler } from "#common/rpc/metrics.ts";
import type { StudioConfig } from "./config.ts";
import type { StudioDeps } from "./deps.ts";
import { createDevelopmentRoutes } from "./development-routes.ts";
import { createSite } from "./site.ts";

/** Studio's server, listening. */
export interface RunningStudio {
  /** The ports in use, also where the configuration said 0. */
  readonly ports: { readonly connect: number; readonly metrics: number };
  /** Stops as SIGTERM does; a second call cuts at once. Resolves when all is closed. */
  stop(): Promise<void>;
  /** Resolves when it has stopped, whatever stopped it. */
  readonly stopped: Promise<void>;
}

/** Serves until told to stop. Rejects with a ConfigError if an address cannot be listened on. */
export async function serveStudio(config: StudioConfig, deps: StudioDeps): Promise<RunningStudio> {
  const state = { ready: false };
  // The whole of a request in ten seconds; Envoy keeps connections open, so let it be the one that closes them.
  const limits = { requestTimeout: 10_000, headersTimeout: 5_000, keepAliveTimeout: 75_000 };
  const site = createServer(limits, siteListener(config, deps));
  site.maxConnections = 1_000;
  const metrics = createServer(limits, metricsListener(state));
  try {
    const ports = {
      connect: await listen(site, "CONNECT_ADDRESS", config.connect),
      metrics: await listen(metrics, "METRICS_ADDRESS", config.metrics),
    };
    state.ready = true;
    deps.logger.info(ports, "listening");
    return run(config, deps, { site, metrics }, state, ports);
  } catch (error) {
    site.close();
    metrics.close();
    await deps.close();
    throw error;
  }
}

function siteListener(config: StudioConfig, deps: StudioDeps) {
  const site = createSite(deps.files, config.stripe);
  const development =
    deps.development === undefined
      ? undefined
      : createDevelopmentRoutes(deps.development, deps.logger);
  const seconds = durationHistogram(
    getMeter("sovr.studio"),
    "studio_request_duration_seconds",
    "How long requests took, by what was asked for and the status.",
  );
  return (request: IncomingMessage, response: ServerResponse): void => {
    const beganMs = performance.now();
    const path = request.url?.split("?", 1)[0] ?? "/";
    response.once("close", () => {
      const labels = { route: routeOf(path), status: String(response.statusCode) };
      seconds.record((performance.now() - beganMs) / 1_000, labels);
    });
    if (development !== undefined && path.startsWith("/dev/")) {
      void development(request, response, path);
    } else site(request, response, path);
  };
}

/** A few words, however many paths are asked for. */
function routeOf(path: string): string {
  if (path === "/") return "page";
  if (path.startsWith("/assets/")) return "asset";
  return path.startsWith("/dev/") ? "development" : "other";
}

function metricsListener(state: { readonly ready: boolean }) {
  const metrics = metricsHandler();
  return (request: IncomingMessage, response: ServerResponse): void => {
    const path = request.url?.split("?", 1)[0] ?? "";
    if (path === "/metrics") {
      metrics(request, response);
      return;
    }
    const answers: Readonly<Record<string, number>> = {
      "/healthz": 200,
      "/readyz": state.ready ? 200 : 503,
    };
    const status = answers[path] ?? 404;
    response.writeHead(status, { "content-type": "application/json" });
    const body = { service: "studio", ready: state.ready, dependencies: [] };
    response.end(status === 404 ? '{"error":"not found"}\n' : `${JSON.stringify(body)}\n`);
  };
}

function listen(server: Server, variable: string, address: Address): Promise<number> {
  return new Promise((resolve, reject) => {
    const refuse = (error: Error) =>
      reject(
        new ConfigError(variable, formatAddress(address), `cannot listen there (${error.message})`),
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
  config: StudioConfig,
  deps: StudioDeps,
  servers: { readonly site: Server; readonly metrics: Server },
  state: { ready: boolean },
  ports: RunningStudio["ports"],
): RunningStudio {
  const forced = new AbortController();
  const end = Promise.withResolvers<void>();
  let stopping = false;

  async function drain(): Promise<void> {
    const { signal } = forced;
    state.ready = false;
    await sleep(config.drainDelayMs, undefined, { signal }).catch(() => undefined);
    const closed = new Promise<void>((resolve) => servers.site.close(() => resolve()));
    servers.site.closeIdleConnections();
    const grace = sleep(config.drainGraceMs, undefined, { signal, ref: false }).catch(
      () => undefined,
    );
    await Promise.race([closed, grace]);
    servers.site.closeAllConnections();
    servers.metrics.close();
    servers.metrics.closeAllConnections();
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
  return { ports, stop, stopped: end.promise };
}
