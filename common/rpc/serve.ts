import { createServer, type Server as HttpServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { DescService } from "@bufbuild/protobuf";
import { setLogger } from "@grpc/grpc-js";
import { formatAddress } from "#common/process/environment.ts";
import { healthListener } from "#common/process/health-listener.ts";
import { type HttpRoutes, routeRequests } from "#common/process/http-routes.ts";
import { listenHttp } from "#common/process/listen-http.ts";
import type { Logger } from "#common/process/logger.ts";
import { type Stopping, stopOnSignal } from "#common/process/stop-on-signal.ts";
import type { Certificates } from "#common/process/tls/certificates.ts";
import { openWire } from "#common/process/tls/open-wire.ts";
import { createWebServer, type WebServer } from "#common/process/web-server.ts";
import { openKeyStore } from "./access/key-store.ts";
import { createTokenVerifier } from "./access/token-verifier.ts";
import { createConnectMount } from "./connect/mount.ts";
import { connectServerOptions } from "./connect/server-options.ts";
import { createGrpcListener, type GrpcListener } from "./grpc/listener.ts";
import { createGrpcMount, type GrpcMount } from "./grpc/mount.ts";
import { addReflection } from "./grpc/reflection.ts";
import { createGuard } from "./guard.ts";
import { createHealth, type Dependency, type Health } from "./health.ts";
import { onKeyFault } from "./key-faults.ts";
import type { Mount } from "./mount.ts";
import { createOpenStreams, type OpenStreams } from "./open-streams.ts";
import type { RuntimeConfig } from "./runtime-config.ts";

export interface ServeOptions {
  readonly config: RuntimeConfig;
  readonly mounts: readonly Mount[];
  /** What reflection describes, beside health. */
  readonly contracts: readonly DescService[];
  /** Plain HTTP on the Connect port, beside the mounts. */
  readonly routes?: HttpRoutes;
  /** What must answer for the service to be ready. */
  readonly dependencies: readonly Dependency[];
  /** Closes what deps.ts opened. Called once, last, also if the start fails. */
  readonly close: () => Promise<void>;
  readonly logger: Logger;
}

/** A service that listens. */
export interface Running extends Stopping {
  /** The ports in use, also where the configuration said 0. */
  readonly ports: { readonly grpc: number; readonly connect: number; readonly metrics: number };
}

interface Servers {
  readonly certificates: Certificates | undefined;
  readonly streams: OpenStreams;
  readonly grpc: GrpcMount;
  readonly grpcListener: GrpcListener;
  readonly connect: WebServer;
  readonly metrics: HttpServer;
}

/**
 * Serves until told to stop: gRPC, Connect and the metrics port. Rejects with a ConfigError if an address cannot be
 * listened on. SIGTERM and SIGINT drain: not ready → DRAIN_DELAY_MS → streams are told, and cut if their clients do not
 * read it within a second → new calls are refused, calls in flight finish → DRAIN_GRACE_MS → what is left is cut. A second
 * signal cuts at once.
 */
export async function serve(options: ServeOptions): Promise<Running> {
  const { config, logger } = options;
  quietGrpc(logger);
  const stages = { draining: new AbortController(), leaving: new AbortController() };
  const health = createHealth({
    dependencies: options.dependencies,
    serviceNames: options.mounts.map((mount) => mount.service.typeName),
    ageMsMax: config.dependencyAgeMsMax,
    logger,
  });
  const stopHearing = onKeyFault((fault) => {
    logger.error(fault, "an error has other metadata keys than its reason promises");
  });
  let servers: Servers | undefined;
  try {
    servers = createServers(options, health, stages);
    const ports = await listen(servers, config);
    await health.start();
    logger.info(describe(config, ports), "listening");
    const running = servers;
    const stopping = stopOnSignal(logger, (forced) =>
      drain(options, health, running, stages, forced).finally(stopHearing),
    );
    return { ports, ...stopping };
  } catch (error) {
    stopHearing();
    health.stop();
    if (servers !== undefined) force(servers);
    await options.close();
    throw error;
  }
}

/** grpc-js writes to the console on its own. Whatever it says that matters also reaches us as an error. */
function quietGrpc(logger: Logger): void {
  const write = (...parts: unknown[]) => logger.debug({ library: "grpc-js" }, parts.join(" "));
  setLogger({ error: write, info: write, debug: write });
}

/** Of the end: when streams have to end, and when nothing new is taken any more. */
interface Stages {
  readonly draining: AbortController;
  readonly leaving: AbortController;
}

function createServers(options: ServeOptions, health: Health, stages: Stages): Servers {
  const { config, logger } = options;
  const drainSignal = stages.draining.signal;
  const leaveSignal = stages.leaving.signal;
  const streams = createOpenStreams();
  const certificates = openWire(config.wire, config.name, logger);
  const security = certificates && { ...config, certificates, logger };
  const keys = openKeyStore(config.auth.jwks, logger);
  const guard = createGuard({
    mounts: options.mounts,
    tokens: createTokenVerifier(
      { ...config.auth, isDevelopment: config.environment === "development" },
      keys,
    ),
    logger,
    drainSignal,
    leaveSignal,
    unaryTimeoutMs: config.unaryTimeoutMs,
    streamStallMs: config.streamStallMs,
    streamsOfSubjectMax: config.streamsPerSubjectMax,
  });
  const grpc = createGrpcMount(guard, streams, config);
  health.addToServer(grpc.server);
  addReflection(grpc.server, options.contracts);
  return {
    certificates,
    streams,
    grpc,
    grpcListener: createGrpcListener(grpc.server, security),
    connect: createWebServer(
      { ...connectServerOptions, security },
      routeRequests({
        routes: options.routes ?? {},
        otherwise: createConnectMount(guard, streams, logger),
        drainSignal: leaveSignal,
        logger,
      }),
    ),
    metrics: createServer(
      healthListener({
        service: config.name,
        ready: () => health.ready,
        dependencies: () => health.dependencies(),
        certificateExpiresMs: certificates && (() => certificates.current().expiresMs),
      }),
    ),
  };
}

async function listen(servers: Servers, config: RuntimeConfig): Promise<Running["ports"]> {
  return {
    grpc: await servers.grpcListener.listen(config.grpc),
    connect: await listenHttp(servers.connect.server, "CONNECT_ADDRESS", config.connect),
    metrics: await listenHttp(servers.metrics, "METRICS_ADDRESS", config.metrics),
  };
}

function describe(config: RuntimeConfig, ports: Running["ports"]): Record<string, string> {
  return {
    environment: config.environment,
    grpc: formatAddress({ host: config.grpc.host, port: ports.grpc }),
    connect: formatAddress({ host: config.connect.host, port: ports.connect }),
    metrics: formatAddress({ host: config.metrics.host, port: ports.metrics }),
  };
}

async function drain(
  options: ServeOptions,
  health: Health,
  servers: Servers,
  { draining, leaving }: Stages,
  forced: AbortSignal,
): Promise<void> {
  const { config, logger } = options;
  health.drain();
  await pause(config.drainDelayMs, forced);
  draining.abort();
  servers.grpc.endUnguarded();
  await endStreams(servers.streams, forced);
  leaving.abort();
  // The timer of a grace that nobody needed would keep the process alive to its end.
  const closed = new AbortController();
  const finished = closeGently(servers).then(() => true);
  const late = pause(config.drainGraceMs, AbortSignal.any([forced, closed.signal])).then(
    () => false,
  );
  if (!(await Promise.race([finished, late]))) {
    logger.warn("calls were cut off");
    servers.grpc.endAll();
    await Promise.race([finished, pause(cutOffMs, closed.signal)]);
  }
  closed.abort();
  force(servers);
  health.stop();
  await closeInTime(options.close);
  logger.info("stopped");
}

/** How long the clients of streams have to read that they end, in milliseconds; others are still served meanwhile. */
const streamDrainMs = 1_000;

/** Ends the streams. One whose client reads nothing would last for the whole grace, and every new call wait for that. */
async function endStreams(streams: OpenStreams, forced: AbortSignal): Promise<void> {
  const done = new AbortController();
  const late = pause(streamDrainMs, AbortSignal.any([forced, done.signal]));
  await Promise.race([streams.ended(done.signal), late]);
  done.abort();
  streams.cut();
}

/** Closes what deps.ts opened; rejects if that takes too long, so that whoever waits for the end hears of it. */
async function closeInTime(close: () => Promise<void>): Promise<void> {
  const done = new AbortController();
  const late = pause(closeMsMax, done.signal).then(() => {
    if (!done.signal.aborted) throw new Error(`the dependencies did not close in ${closeMsMax} ms`);
  });
  try {
    await Promise.race([close(), late]);
  } finally {
    done.abort();
  }
}

const closeMsMax = 5_000;

/** What the last statuses get to leave the process before connections are cut. */
const cutOffMs = 100;

/** Waits for `ms`, or until the signal fires. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}

/** Takes no new connections and resolves when the last call has ended, however long that takes. */
async function closeGently(servers: Servers): Promise<void> {
  servers.grpcListener.close();
  const grpc = new Promise<void>((resolve) => servers.grpc.server.tryShutdown(() => resolve()));
  const connect = new Promise<void>((resolve) => servers.connect.server.close(() => resolve()));
  servers.connect.endSessions();
  await Promise.all([grpc, connect]);
}

function force(servers: Servers): void {
  servers.certificates?.close();
  servers.grpcListener.cut();
  servers.grpc.server.forceShutdown();
  servers.connect.server.close();
  servers.connect.cut();
  servers.metrics.close();
  servers.metrics.closeAllConnections();
}
