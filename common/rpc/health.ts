import type { Server } from "@grpc/grpc-js";
import { HealthImplementation, type ServingStatus } from "grpc-health-check";
import type { Logger } from "#common/process/logger.ts";
import { getMeter } from "#common/process/metrics.ts";

/** Something outside that a service cannot work without. */
export interface Dependency {
  /** Such as "tigerbeetle"; part of logs, metrics and `/readyz`. */
  readonly name: string;
  /** When a call to it last succeeded, in epoch milliseconds; 0 for never. */
  lastSuccessMs(): number;
  /** Makes a cheap call. Rejects if it fails; gives up when the signal fires. */
  probe(signal: AbortSignal): Promise<void>;
}

/** A dependency whose calls that succeed anyway count as probes: whoever makes one says so by `onSuccess`. */
export function watchDependency(
  name: string,
  call: (signal: AbortSignal) => Promise<unknown>,
): { readonly dependency: Dependency; readonly onSuccess: () => void } {
  let lastMs = 0;
  const onSuccess = () => {
    lastMs = Date.now();
  };
  const probe = async (signal: AbortSignal) => {
    await call(signal);
    onSuccess();
  };
  return { dependency: { name, lastSuccessMs: () => lastMs, probe }, onSuccess };
}

/** How a dependency stands. */
export interface DependencyState {
  readonly name: string;
  readonly ok: boolean;
  /** Milliseconds since a call to it last succeeded; null for never. */
  readonly ageMs: number | null;
  /** Why the last probe failed; absent while all is well. */
  readonly why?: string;
}

export interface HealthOptions {
  readonly dependencies: readonly Dependency[];
  /** Full names of the services that report with the readiness. */
  readonly serviceNames: readonly string[];
  /** The oldest success that still counts. */
  readonly ageMsMax: number;
  readonly logger: Logger;
}

/** Whether the service is alive and ready, told by gRPC and for the plain endpoints. */
export interface Health {
  addToServer(server: Server): void;
  readonly ready: boolean;
  dependencies(): readonly DependencyState[];
  /** Looks at the dependencies now and then regularly, until `drain` or `stop`. Resolves after the first look. */
  start(): Promise<void>;
  /** Not ready from now on, whatever the dependencies say. Still alive. */
  drain(): void;
  stop(): void;
}

const checkIntervalMs = 1_000;
const probeTimeoutMs = 5_000;

/**
 * Readiness goes by the age of the last success, so that it never waits for a dependency: calls that work anyway
 * count, and a dependency that was quiet is probed, one probe at a time, even if that probe never returns.
 */
export function createHealth(options: HealthOptions): Health {
  const watched = options.dependencies.map(
    (dependency) =>
      new WatchedDependency(dependency, options.ageMsMax, (name, why) =>
        options.logger.warn({ dependency: name, why }, "a probe failed"),
      ),
  );
  const readyNames = ["", "readiness", ...options.serviceNames];
  const statuses = new HealthImplementation({ liveness: "SERVING" });
  for (const name of readyNames) statuses.setStatus(name, "NOT_SERVING");
  let timer: NodeJS.Timeout | undefined;
  let draining = false;
  let ready = false;
  observeAges(watched);

  function update(): void {
    const isReady = !draining && watched.every((dependency) => dependency.state().ok);
    if (isReady === ready) return;
    ready = isReady;
    const status: ServingStatus = isReady ? "SERVING" : "NOT_SERVING";
    for (const name of readyNames) statuses.setStatus(name, status);
    const dependencies = watched.map((dependency) => dependency.state());
    if (isReady) options.logger.info("ready");
    else options.logger.warn({ draining, dependencies }, "not ready");
  }

  function look(): void {
    for (const dependency of watched) void dependency.probeIfQuiet().then(update);
    update();
  }

  function stop(): void {
    clearInterval(timer);
  }

  return {
    addToServer: (server) => statuses.addToServer(server),
    get ready() {
      return ready;
    },
    dependencies: () => watched.map((dependency) => dependency.state()),
    async start() {
      await Promise.all(watched.map((dependency) => dependency.probeIfQuiet()));
      update();
      timer = setInterval(look, checkIntervalMs);
      timer.unref();
    },
    drain() {
      draining = true;
      update();
    },
    stop,
  };
}

class WatchedDependency {
  readonly #dependency: Dependency;
  readonly #ageMsMax: number;
  readonly #onFailure: (dependency: string, why: string) => void;
  #probedAtMs = 0;
  #probing = false;
  /** Empty after a success. */
  #why = "";

  constructor(
    dependency: Dependency,
    ageMsMax: number,
    onFailure: (dependency: string, why: string) => void,
  ) {
    this.#onFailure = onFailure;
    this.#dependency = dependency;
    this.#ageMsMax = ageMsMax;
  }

  state(): DependencyState {
    const lastMs = Math.max(this.#dependency.lastSuccessMs(), this.#probedAtMs);
    const ageMs = lastMs === 0 ? null : Math.max(0, Date.now() - lastMs);
    const ok = ageMs !== null && ageMs <= this.#ageMsMax;
    return {
      name: this.#dependency.name,
      ok,
      ageMs,
      ...(ok || this.#why === "" ? {} : { why: this.#why }),
    };
  }

  /** Probes unless a call succeeded of late or a probe is out. Ends in time even if the probe does not. Never rejects. */
  async probeIfQuiet(): Promise<void> {
    const { ageMs } = this.state();
    if (this.#probing || (ageMs !== null && ageMs < this.#ageMsMax / 4)) return;
    this.#probing = true;
    const patience = new AbortController();
    const silence = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const error = new Error(`no answer for ${probeTimeoutMs / 1_000} s`);
      silence.reject(error);
      patience.abort(error);
    }, probeTimeoutMs);
    timer.unref();
    const probe = this.#probe(patience.signal).finally(() => clearTimeout(timer));
    try {
      await Promise.race([probe, silence.promise]);
    } catch (error) {
      // Said once for each cause: a dependency is away for long, and is probed once a second.
      const why = causeText(error);
      if (why !== this.#why) this.#onFailure(this.#dependency.name, why);
      this.#why = why;
    }
  }

  /** One that answers late counts as well. */
  async #probe(signal: AbortSignal): Promise<void> {
    try {
      await this.#dependency.probe(signal);
      this.#probedAtMs = Date.now();
      this.#why = "";
    } finally {
      this.#probing = false;
    }
  }
}

/** The words of an error and of what caused it: a refusal of ours says what, its cause why. */
function causeText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

function observeAges(watched: readonly WatchedDependency[]): void {
  getMeter("sovr.health")
    .createObservableGauge("dependency_age_seconds", {
      description: "Since a call to the dependency last succeeded; +Inf for never.",
      unit: "s",
    })
    .addCallback((result) => {
      for (const dependency of watched) {
        const { name, ageMs } = dependency.state();
        // Never is older than any bound that an alarm may have.
        result.observe(ageMs === null ? Number.POSITIVE_INFINITY : ageMs / 1_000, {
          dependency: name,
        });
      }
    });
}
