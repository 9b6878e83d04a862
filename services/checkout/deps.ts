import { DomainError } from "#common/domain-error.ts";
import { listen } from "#common/postgres/listen.ts";
import { migrateAtStart } from "#common/postgres/migrate.ts";
import { createPool, type Pool, probePostgres } from "#common/postgres/pool.ts";
import type { HttpRoutes } from "#common/process/http-routes.ts";
import { createLogger, type Logger } from "#common/process/logger.ts";
import { type Dependency, watchDependency } from "#common/rpc/health.ts";
import type { CheckoutConfig } from "./config.ts";
import { createCredentials } from "./drivers/credentials.ts";
import { openPeers } from "./drivers/peers.ts";
import { createCheckoutStore, migrations } from "./drivers/postgres/store.ts";
import { createWebhookStore } from "./drivers/postgres/webhook-store.ts";
import { checkoutChannel } from "./drivers/postgres/write-checkout.ts";
import { createStripe, type StripeGateway } from "./drivers/stripe/gateway.ts";
import { measureStripe } from "./drivers/stripe/metrics.ts";
import { type Checkouts, createCheckouts } from "./order/checkouts.ts";
import { createFulfilments, type Fulfilments } from "./order/fulfilment.ts";
import { type CheckoutWatch, createCheckoutWatch } from "./order/watch.ts";
import { createRefunds, type Refunds } from "./refunds/refunds.ts";
import { startDueChecks } from "./settle/due-checks.ts";
import { createSettler } from "./settle/settle.ts";
import type { WebhookEvents } from "./webhooks/events.ts";
import {
  startWebhookRuntime,
  type WebhookRuntime,
  type WebhookRuntimeOptions,
} from "./webhooks/runtime.ts";

/** What the service is made of. */
export interface CheckoutDeps {
  readonly checkouts: Checkouts;
  readonly refunds: Refunds;
  readonly fulfilments: Fulfilments;
  /** Undefined: no card can be charged here. */
  readonly webhooks: WebhookEvents | undefined;
  /** Beside the RPCs, for Stripe. */
  readonly routes: HttpRoutes;
  readonly streamAgeMsMax: number;
  readonly logger: Logger;
  readonly dependencies: readonly Dependency[];
  readonly close: () => Promise<void>;
}

/** What tests put in place of the real thing. */
export interface CheckoutOverrides {
  /** Epoch milliseconds. */
  readonly nowMs?: () => number;
  readonly logger?: Logger;
}

/** Every statement touches the rows of one checkout, or some hundreds by their key; one that takes this long is stuck. */
const statementTimeoutMs = 5_000;
const watchersMax = 10_000;

/**
 * Opens what Checkout needs, creates its tables and starts to look after what is due. Throws ConfigError if the
 * credential key is none or PostgreSQL does not answer within half a minute.
 */
export async function createCheckoutDeps(
  config: CheckoutConfig,
  overrides: CheckoutOverrides = {},
): Promise<CheckoutDeps> {
  const { runtime } = config;
  const logger =
    overrides.logger ?? createLogger(runtime.name, runtime.logLevel, { format: runtime.logFormat });
  const nowMs = overrides.nowMs ?? Date.now;
  const { issuer, audience } = runtime.auth;
  const credentials = createCredentials({ key: config.credentialKey, issuer, audience, nowMs });
  await migrateAtStart(config.databaseUrl, "checkout", migrations);
  const pool = createPool({
    databaseUrl: config.databaseUrl,
    applicationName: "sovr-checkout",
    role: "sovr_checkout",
    statementTimeoutMs,
  });
  const postgres = watchDependency("postgres", () => probePostgres(pool));
  const store = createCheckoutStore(pool, postgres.onSuccess);
  const peers = openPeers({ ...config, token: credentials.token });
  const stripe =
    config.stripe === undefined ? undefined : createStripe(config.stripe, measureStripe());
  const payments = stripe?.payments;
  const settler = createSettler({ store, peers, payments, nowMs });
  const refunds = createRefunds({ store, payments, settler, nowMs });
  const fulfilments = createFulfilments({ ...config, store, settler, nowMs });
  const changes = createCheckoutWatch(watchersMax, tooMany);
  const listener = listenChanges(config.databaseUrl, changes, logger);
  const checkouts = createCheckouts({ ...config, store, settler, peers, payments, changes, nowMs });
  const checks = startDueChecks({
    store,
    settler,
    onError: (intentId, error) =>
      logger.warn({ intentId, err: error }, "a checkout waits and is tried again"),
  });
  const webhooks =
    stripe &&
    hearStripe(stripe, { store, settler, refunds, nowMs, logger }, pool, postgres.onSuccess);
  return {
    checkouts,
    refunds,
    fulfilments,
    webhooks: webhooks?.events,
    routes: webhooks === undefined ? {} : { "/webhooks/stripe": webhooks.route },
    streamAgeMsMax: runtime.streamAgeMsMax,
    logger,
    dependencies: [postgres.dependency],
    async close() {
      await Promise.all([webhooks?.stop(), checks.stop(), listener.close()]);
      stripe?.close();
      peers.close();
      await pool.end();
    },
  };
}

function hearStripe(
  { payments, events, verifyWebhook }: StripeGateway,
  ports: Pick<WebhookRuntimeOptions, "store" | "settler" | "refunds" | "nowMs" | "logger">,
  pool: Pool,
  onSuccess: () => void,
): WebhookRuntime {
  const webhooks = createWebhookStore(pool, onSuccess);
  return startWebhookRuntime({ ...ports, payments, webhooks, events, verify: verifyWebhook });
}

function listenChanges(databaseUrl: string, changes: CheckoutWatch, logger: Logger) {
  return listen({
    databaseUrl,
    channel: checkoutChannel,
    applicationName: "sovr-checkout-listen",
    onNotification: changes.changed,
    onConnected: changes.changedAny,
    onLost: (error) => logger.warn({ err: error }, "changes of checkouts are not heard just now"),
  });
}

function tooMany(): DomainError<"LIMIT_EXCEEDED"> {
  return new DomainError("LIMIT_EXCEEDED", "too many watch checkouts here; try another replica", {
    metadata: { limit: String(watchersMax), what: "watchers per process" },
    retryAfterMs: 5_000,
  });
}
