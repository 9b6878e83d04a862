import { ConfigError } from "#common/process/environment.ts";
import { createLogger, type Logger } from "#common/process/logger.ts";
import type { StripeSimConfig } from "./config.ts";
import { type Control, createControl } from "./control/commands.ts";
import { createFaults, type Faults } from "./control/faults.ts";
import type { Call } from "./objects/call.ts";
import { openStore, type Store } from "./objects/store.ts";
import { createLater } from "./payments/later.ts";
import { environmentEndpoint, setEnvironmentEndpoint } from "./webhooks/endpoints.ts";
import { createWebhooksSender, type WebhooksSender } from "./webhooks/sender.ts";

/** Deliveries that may wait. */
const deliveriesMax = 100_000;

/** What the simulator is made of. */
export interface StripeSimDeps {
  /** The API keys that are taken. */
  readonly keys: readonly string[];
  readonly store: Store;
  readonly faults: Faults;
  readonly sender: WebhooksSender;
  readonly control: Control;
  readonly logger: Logger;
  readonly nowMs: () => number;
  readonly newCall: (request?: Partial<Call>) => Call;
  /** Sends and does what is due. */
  readonly wake: () => void;
  /** Whether there is no room for more objects or deliveries. */
  readonly isFull: () => boolean;
  readonly close: () => Promise<void>;
}

/** What tests put in place of the real thing. */
export interface StripeSimOverrides {
  readonly logger?: Logger;
  readonly nowMs?: () => number;
  /** Of the random decisions; 1 by default. */
  readonly seed?: number;
}

function open(path: string): Store {
  try {
    return openStore(path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError("STRIPE_SIM_PATH", path, `the file cannot be used (${why})`);
  }
}

export function createStripeSimDeps(
  config: StripeSimConfig,
  overrides: StripeSimOverrides = {},
): StripeSimDeps {
  const logger =
    overrides.logger ?? createLogger("stripe-sim", config.logLevel, { format: config.logFormat });
  const nowMs = overrides.nowMs ?? Date.now;
  const store = open(config.path);
  setEnvironmentEndpoint(store, config.webhook, Math.floor(nowMs() / 1_000));
  const faults = createFaults(overrides.seed ?? 1);
  const sender = createWebhooksSender({ ...config, store, faults, logger, nowMs, target });

  function target(id: string) {
    const stored = store.find("webhook_endpoint", id);
    if (stored === undefined) return undefined;
    const { secret = "" } = stored.hidden;
    const secrets = id === environmentEndpoint ? config.webhook?.secrets : [secret];
    return { url: stored.body.url, secrets: secrets ?? [] };
  }
  function newCall(request: Partial<Call> = {}): Call {
    const ms = nowMs();
    return {
      store,
      faults,
      nowMs: ms,
      nowSeconds: Math.floor(ms / 1_000),
      settleMs: config.settleMs,
      baseUrl: "",
      request: { id: null, idempotency_key: null },
      browser: false,
      events: [],
      ...request,
    };
  }
  function wake(): void {
    sender.wake();
    later.wake();
  }
  const later = createLater({ store, logger, nowMs, newCall, onDone: wake });
  const control = createControl({ store, faults, sender, newCall, onDone: wake });

  function isFull(): boolean {
    return store.objectsMade() >= config.objectsMax || store.hasDeliveries(deliveriesMax);
  }
  async function close(): Promise<void> {
    later.stop();
    await sender.stop();
    store.close();
  }
  const { keys } = config;
  return { keys, store, faults, sender, control, logger, nowMs, newCall, wake, isFull, close };
}
