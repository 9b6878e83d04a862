import { setTimeout as sleep } from "node:timers/promises";
import type { HttpRoute } from "#common/process/http-routes.ts";
import type { Logger } from "#common/process/logger.ts";
import {
  createWebhookEvents,
  type ProcessPorts,
  processEvent,
  type WebhookEvents,
} from "./events.ts";
import { createWebhookInbox } from "./inbox.ts";
import { createWebhookMetrics, type WebhookMetrics } from "./metrics.ts";
import type { AttemptEnd, StoredWebhook, StripeEvents, WebhookStore } from "./ports.ts";
import { createWebhookRoute, type DeliveryOutcome, type WebhookRouteOptions } from "./route.ts";
import { type SweepTimes, startWebhookSweep } from "./sweep.ts";
import { startWebhookWorker, type WebhookTimes } from "./worker.ts";

export interface WebhookRuntimeOptions extends ProcessPorts {
  readonly webhooks: WebhookStore;
  readonly events: StripeEvents;
  readonly verify: WebhookRouteOptions["verify"];
  /** Epoch milliseconds. */
  readonly nowMs: () => number;
  readonly logger: Logger;
  readonly workerTimes?: Partial<WebhookTimes>;
  readonly sweepTimes?: Partial<SweepTimes>;
}

/** Everything that hears Stripe, at work. */
export interface WebhookRuntime {
  /** For operators. */
  readonly events: WebhookEvents;
  /** POST /webhooks/stripe. */
  readonly route: HttpRoute;
  /** Ends what is under way, and takes it back. */
  stop(): Promise<void>;
}

/** Starts to hear Stripe: the route, the worker behind it, and the sweep for what the route has missed. */
export function startWebhookRuntime(options: WebhookRuntimeOptions): WebhookRuntime {
  const { webhooks, logger } = options;
  const metrics = createWebhookMetrics();
  const worker = startWebhookWorker({
    store: webhooks,
    process: (event, limit) => processEvent(options, event, limit),
    onEnd: (event, end, error) => {
      metrics.attempted(end.state, event.type);
      logEnd(logger, event, end, error);
    },
    onError: (error) => logger.warn({ err: error }, "webhook events wait"),
    ...(options.workerTimes === undefined ? {} : { times: options.workerTimes }),
  });
  const sweep = startWebhookSweep({
    store: webhooks,
    events: options.events,
    onFound: (count) => {
      metrics.found(count);
      worker.wake();
    },
    onError: (error) => logger.warn({ err: error }, "the sweep for lost webhooks waits"),
    ...(options.sweepTimes === undefined ? {} : { times: options.sweepTimes }),
  });
  const gauges = startGauges(webhooks, metrics);
  return {
    events: createWebhookEvents(webhooks, worker.wake),
    route: createWebhookRoute({
      verify: options.verify,
      inbox: createWebhookInbox(webhooks),
      wake: worker.wake,
      onDelivery: (outcome, type) => {
        metrics.delivered(outcome, type);
        logDelivery(logger, outcome, type);
      },
      nowMs: options.nowMs,
    }),
    async stop() {
      await Promise.all([worker.stop(), sweep.stop(), gauges.stop()]);
    },
  };
}

/** What is worth a line is what an operator can act on. */
function logEnd(logger: Logger, event: StoredWebhook, end: AttemptEnd, error: unknown): void {
  const { eventId, type, paymentIntentId, attempts } = event;
  const about = { eventId, type, paymentIntentId, attempts };
  if (end.state === "DEAD") {
    logger.error({ ...about, err: error }, "a webhook event is dead; replay it when it can pass");
  } else if (end.state === "PENDING") {
    logger.warn({ ...about, reason: end.lastError }, "a webhook event is tried again");
  } else logger.debug({ ...about, state: end.state }, "a webhook event is processed");
}

function logDelivery(logger: Logger, outcome: DeliveryOutcome, type: string): void {
  const isGood = outcome === "STORED" || outcome === "KNOWN" || outcome === "UNHANDLED";
  logger[isGood ? "debug" : "warn"]({ outcome, type }, "a webhook came");
}

const gaugesMs = 5_000;

/** Keeps the gauges fresh, so that a scrape need not wait for the records. */
function startGauges(store: WebhookStore, metrics: WebhookMetrics): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const { signal } = stopping;
  const run = async () => {
    while (!signal.aborted) {
      // While the records are away the last numbers stay; readiness and the worker tell of it.
      await store.readBacklog().then(metrics.observe, () => undefined);
      await sleep(gaugesMs, undefined, { signal }).catch(() => undefined);
    }
  };
  const running = run();
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
