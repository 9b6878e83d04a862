import { createLogger } from "#common/process/logger.ts";
import { type StripeSimConfig, stripeSimConfig, type WebhookConfig } from "./config.ts";
import type { Control } from "./control/commands.ts";
import { createStripeSimDeps, type StripeSimOverrides } from "./deps.ts";
import { serveStripeSim } from "./serve.ts";

export interface StartOptions extends StripeSimOverrides {
  /** 0, the default, asks the system for a free one. */
  readonly port?: number;
  readonly webhook?: WebhookConfig;
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

/** Starts a simulator in this process, silent, for tests. */
export async function startStripeSim(options: StartOptions = {}): Promise<StartedStripeSim> {
  const config: StripeSimConfig = {
    ...stripeSimConfig({ STRIPE_SIM_PATH: options.path }),
    ...options.settings,
    address: { host: "127.0.0.1", port: options.port ?? 0 },
    webhook: options.webhook,
  };
  const logger = options.logger ?? createLogger("stripe-sim", "silent", { format: "json" });
  const deps = createStripeSimDeps(config, { ...options, logger });
  const { port, stop } = await serveStripeSim(config, deps);
  return { url: `http://127.0.0.1:${port}`, port, control: deps.control, stop };
}
