import type { ErrorMap } from "./errors.ts";
import type { Dependency } from "./health.ts";
import type { Logger } from "./logger.ts";
import type { Mount } from "./mount.ts";
import type { RuntimeConfig } from "./runtime-config.ts";

export { type Mount, mountOf } from "./mount.ts";

export interface ServeOptions {
  readonly config: RuntimeConfig;
  readonly mounts: readonly Mount[];
  /** The total map of the service's kinds. */
  readonly errors: ErrorMap<string>;
  /** What must answer for the service to be ready. */
  readonly dependencies: readonly Dependency[];
  /** Closes what deps.ts opened. Called once, last. */
  readonly close: () => Promise<void>;
  readonly logger: Logger;
}

/** A service that listens. */
export interface Running {
  /** The ports in use, also where the configuration said 0. */
  readonly ports: { readonly grpc: number; readonly connect: number; readonly metrics: number };
  /** Drains and stops, as SIGTERM does; a second call while it drains forces the end. Resolves when all is closed. */
  stop(): Promise<void>;
  /** Resolves when the service has stopped, whatever stopped it. */
  readonly stopped: Promise<void>;
}

/** Serves until told to stop. */
export function serve(_options: ServeOptions): Promise<Running> {
  return Promise.reject(new Error("serve is being built"));
}
