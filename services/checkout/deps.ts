import { DomainError } from "#common/domain-error.ts";
import { listen } from "#common/postgres/listen.ts";
import { migrateAtStart } from "#common/postgres/migrate.ts";
import { createPool, probePostgres } from "#common/postgres/pool.ts";
import type { HttpRoutes } from "#common/process/http-routes.ts";
import { createLogger, type Logger } from "#common/process/logger.ts";
import { openCertificates } from "#common/process/tls/certificates.ts";
import { createRateLimit } from "#common/rate-limit.ts";
import { type Dependency, watchDependency } from "#common/rpc/health.ts";
import { createPageTokens, type PageTokens } from "#common/wire/page-token.ts";
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
import { refreshGauges } from "./refresh-gauges.ts";
import { createRefunds, type Refunds } from "./refunds/give-back.ts";
import { startDueChecks } from "./settle/due-checks.ts";
import { createSettler } from "./settle/steps.ts";
import { createSettleTelemetry, overdueMs } from "./settle/telemetry.ts";
import { createWebhookInbox } from "./webhooks/inbox.ts";
import { createWebhookEvents, type WebhookEvents } from "./webhooks/operators-list.ts";
import type { WebhookStore } from "./webhooks/ports.ts";
import { type ProcessPorts, processEvent } from "./webhooks/process-event.ts";
import { createWebhookRoute } from "./webhooks/route.ts";
import { type SweepTimes, startWebhookSweep } from "./webhooks/sweep.ts";
import { createWebhookTelemetry } from "./webhooks/telemetry.ts";
import { startWebhookWorker, type WebhookTimes } from "./webhooks/worker.ts";

/** What the service is made of. */
export interface CheckoutDeps {
  readonly checkouts: Checkouts;
  readonly refunds: Refunds;
  readonly fulfilments: Fulfilments;
  /** Undefined: no card can be charged here. */
  readonly webhooks: WebhookEvents | undefined;
  /** Beside the RPCs, for Stripe. */
  readonly routes: HttpRoutes;
  readonly pageTokens: PageTokens;
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
export const watchersMax = 10_000;

/**
 * Opens what Checkout needs, creates its tables and starts to look after what is due. Throws ConfigError if the
 * credential key is none or PostgreSQL does not answer within half a minute.
 */
export async function createCheckoutDeps(
  config: CheckoutConfig,
  overrides: CheckoutOverrides = {},
): Promise<CheckoutDeps> {
  const { runtime } = config;
  const { nowMs = Date.now } = overrides;
  const logger =
    overrides.logger ?? createLogger(runtime.name, runtime.logLevel, { format: runtime.logFormat });
  const { issuer, audience } = runtime.auth;
  const credentials = createCredentials({ key: config.credentialKey, issuer, audience, nowMs });
  const { tls } = runtime.wire;
  const certificates = tls && openCertificates({ config: tls, name: "checkout", logger });
  const records = await openRecords(config.databaseUrl, logger);
  const { store } = records;
  const peers = openPeers({ ...config, token: credentials.token, certificates });
  const onCall = measureStripe();
  const stripe = config.stripe && createStripe(config.stripe, { onCall, certificates });
  const payments = stripe?.payments;
  const telemetry = createSettleTelemetry(logger);
  const { alarm } = telemetry;
  const settler = createSettler({ store, peers, payments, nowMs, alarm });
  const refunds = createRefunds({ store, payments, settler, nowMs, alarm });
  const fulfilments = createFulfilments({ ...config, store, settler, nowMs });
  const changes = createCheckoutWatch(watchersMax, tooMany);
  const rate = createRateLimit({
    what: "checkouts per wallet and minute",
    perWallet: config.checkoutsPerWalletAndMinute,
    nowMs,
  });
  const checkouts = createCheckouts({
    ...config,
    store,
    settler,
    peers,
    payments,
    changes,
    rate,
    nowMs,
  });
  const listener = listenChanges(config.databaseUrl, changes, logger);
  const checks = startDueChecks({ store, settler, onError: telemetry.checkFailed });
  const gauges = refreshGauges(() => store.readOverdue(overdueMs).then(telemetry.observe));
  const webhooks =
    stripe &&
    startWebhooks({ store, settler, refunds, stripe, webhooks: records.webhooks, nowMs, logger });
  return {
    checkouts,
    refunds,
    fulfilments,
    webhooks: webhooks?.events,
    routes: webhooks === undefined ? {} : { "/webhooks/stripe": webhooks.route },
    pageTokens: createPageTokens("checkout", config.databaseUrl),
    streamAgeMsMax: runtime.streamAgeMsMax,
    logger,
    dependencies: [records.dependency],
    async close() {
      await Promise.all([webhooks?.stop(), checks.stop(), gauges.stop(), listener.close()]);
      stripe?.close();
      peers.close();
      certificates?.close();
      await records.close();
    },
  };
}

/** Creates the tables, and opens what is kept in them. */
async function openRecords(databaseUrl: string, logger: Logger) {
  await migrateAtStart(databaseUrl, "checkout", migrations, (details, message) =>
    logger.info(details, message),
  );
  const pool = createPool({
    databaseUrl,
    applicationName: "sovr-checkout",
    role: "sovr_checkout",
    statementTimeoutMs,
  });
  const { dependency, onSuccess } = watchDependency("postgres", () => probePostgres(pool));
  return {
    store: createCheckoutStore(pool, onSuccess),
    webhooks: createWebhookStore(pool, onSuccess),
    dependency,
    close: () => pool.end(),
  };
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

export interface WebhookDeps extends Omit<ProcessPorts, "payments"> {
  readonly webhooks: WebhookStore;
  readonly stripe: Omit<StripeGateway, "close">;
  /** Epoch milliseconds. */
  readonly nowMs: () => number;
  readonly logger: Logger;
  readonly workerTimes?: Partial<WebhookTimes>;
  readonly sweepTimes?: Partial<SweepTimes>;
}

export type Webhooks = ReturnType<typeof startWebhooks>;

/** Starts to hear Stripe: the route, the worker behind it, and the sweep for what the route has missed. */
export function startWebhooks(deps: WebhookDeps) {
  const { stripe, webhooks, nowMs, workerTimes = {}, sweepTimes = {} } = deps;
  const telemetry = createWebhookTelemetry(deps.logger);
  const ports: ProcessPorts = { ...deps, payments: stripe.payments };
  const worker = startWebhookWorker({
    store: webhooks,
    process: (event, limit) => processEvent(ports, event, limit),
    onEnd: telemetry.attempted,
    onError: telemetry.workerFailed,
    times: workerTimes,
  });
  const sweep = startWebhookSweep({
    store: webhooks,
    events: stripe.events,
    onFound: (count) => {
      telemetry.found(count);
      worker.wake();
    },
    onError: telemetry.sweepFailed,
    times: sweepTimes,
  });
  const gauges = refreshGauges(() => webhooks.readBacklog().then(telemetry.observe));
  return {
    /** For operators. */
    events: createWebhookEvents(webhooks, worker.wake),
    /** POST /webhooks/stripe. */
    route: createWebhookRoute({
      verify: stripe.verifyWebhook,
      inbox: createWebhookInbox(webhooks),
      wake: worker.wake,
      onDelivery: telemetry.delivered,
      nowMs,
    }),
    /** Ends what is under way, and takes it back. */
    async stop() {
      await Promise.all([worker.stop(), sweep.stop(), gauges.stop()]);
    },
  };
}
