import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { healthListener } from "#common/process/health-listener.ts";
import { closeHttp, listenHttp } from "#common/process/listen-http.ts";
import { durationHistogram, getMeter } from "#common/process/metrics.ts";
import { type Stopping, stopOnSignal } from "#common/process/stop-on-signal.ts";
import { createHttpServer } from "#common/process/tls/http-server.ts";
import type { StudioConfig } from "./config.ts";
import type { StudioDeps } from "./deps.ts";
import { createDevelopmentRoutes } from "./development/routes.ts";
import { createSignInRoutes } from "./sign-in/routes.ts";
import { createSite } from "./site.ts";

/** Studio's server, listening. */
export interface RunningStudio extends Stopping {
  /** The ports in use, also where the configuration said 0. */
  readonly ports: { readonly connect: number; readonly metrics: number };
}

/** Serves until told to stop. Rejects with a ConfigError if an address cannot be listened on. */
export async function serveStudio(config: StudioConfig, deps: StudioDeps): Promise<RunningStudio> {
  const state = { ready: false };
  // The whole of a request in ten seconds; Envoy keeps connections open, so let it be the one that closes them.
  const limits = { requestTimeout: 10_000, headersTimeout: 5_000, keepAliveTimeout: 75_000 };
  const { certificates, logger } = deps;
  const security = certificates && { ...config, name: "studio" as const, certificates, logger };
  const site = createHttpServer({ http1: limits, security }, siteListener(config, deps));
  site.maxConnections = 1_000;
  const metrics = createServer(
    limits,
    healthListener({
      service: "studio",
      ready: () => state.ready,
      dependencies: () => [],
      certificateExpiresMs: certificates && (() => certificates.current().expiresMs),
    }),
  );
  try {
    const ports = {
      connect: await listenHttp(site, "CONNECT_ADDRESS", config.connect),
      metrics: await listenHttp(metrics, "METRICS_ADDRESS", config.metrics),
    };
    state.ready = true;
    deps.logger.info(ports, "listening");
    const stopping = stopOnSignal(deps.logger, (forced) => {
      state.ready = false;
      return drain(config, deps, { site, metrics }, forced);
    });
    return { ports, ...stopping };
  } catch (error) {
    site.close();
    metrics.close();
    await deps.close();
    throw error;
  }
}

function siteListener(config: StudioConfig, deps: StudioDeps) {
  const people = config.signIn?.provider !== undefined;
  const site = createSite(deps.files, config.stripe, config.signIn && { people });
  const development =
    deps.development === undefined
      ? undefined
      : createDevelopmentRoutes(deps.development, deps.logger, {
          givesTokens: config.signIn === undefined,
        });
  const signIn =
    deps.signIn && config.signIn && createSignInRoutes(deps.signIn, config.signIn, deps.logger);
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
    } else if (signIn !== undefined && path.startsWith("/sign-in/")) {
      void signIn(request, response, path);
    } else site(request, response, path);
  };
}

/** A few words, however many paths are asked for. */
function routeOf(path: string): string {
  if (path === "/") return "page";
  if (path.startsWith("/assets/")) return "asset";
  if (path.startsWith("/sign-in/")) return "sign-in";
  return path.startsWith("/dev/") ? "development" : "other";
}

async function drain(
  config: StudioConfig,
  deps: StudioDeps,
  servers: { readonly site: Server; readonly metrics: Server },
  signal: AbortSignal,
): Promise<void> {
  await sleep(config.drainDelayMs, undefined, { signal }).catch(() => undefined);
  await closeHttp(servers.site, config.drainGraceMs, signal);
  servers.metrics.close();
  servers.metrics.closeAllConnections();
  await deps.close();
  deps.logger.info("stopped");
}
