import { createLogger } from "#common/process/logger.ts";
import { type StripeSimConfig, stripeSimConfig, type WebhookConfig } from "./config.ts";
import type { Control } from "./control/commands.ts";
import { createStripeSimDeps, type StripeSimOverrides } from "./deps.ts";
import { serveStripeSim } from "./serve.ts";

export interface StartOptions extends StripeSimOverrides {
  /** 0, the default, asks the system for a free one. */
  readonly port?: number;
  readonly webhook?: WebhookConfig;
  /** The API keys that it takes; `simulatorKeys` by default. */
  readonly keys?: readonly string[];
  /** A SQLite file; memory by default. */
  readonly path?: string;
  readonly settings?: Partial<StripeSimConfig>;
}

export interface StartedStripeSim {
  readonly url: string;
  readonly port: number;
  readonly control: Control;
  stop(): Promise<void>;
}

/** What a simulator takes that is told nothing else. */
export const simulatorKeys = { secret: "sk_test_simulator_0", publishable: "pk_test_simulator_0" };

/** Starts a simulator in this process, silent, for tests. */
export async function startStripeSim(options: StartOptions = {}): Promise<StartedStripeSim> {
  const config: StripeSimConfig = {
    ...stripeSimConfig({
      STRIPE_SIM_PATH: options.path,
      STRIPE_SECRET_KEY: simulatorKeys.secret,
      STRIPE_PUBLISHABLE_KEY: simulatorKeys.publishable,
    }),
    ...(options.keys === undefined ? {} : { keys: options.keys }),
    ...options.settings,
    address: { host: "127.0.0.1", port: options.port ?? 0 },
    webhook: options.webhook,
  };
  const logger = options.logger ?? createLogger("stripe-sim", "silent", { format: "json" });
  const deps = createStripeSimDeps(config, { ...options, logger });
  const { port, stop } = await serveStripeSim(config, deps);
  return { url: `http://127.0.0.1:${port}`, port, control: deps.control, stop };
}
