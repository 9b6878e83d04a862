import type { Logger } from "#common/process/logger.ts";
import { countFromZero, getMeter } from "#common/process/metrics.ts";
import type { AttemptEnd, StoredWebhook, WebhookBacklog } from "./ports.ts";
import { isHandled, webhookTypes } from "./process-event.ts";
import type { DeliveryOutcome } from "./route.ts";

/** Hears what Stripe tells and what becomes of it: counts it, and logs what an operator can act on. */
export interface WebhookTelemetry {
  delivered(outcome: DeliveryOutcome, type: string): void;
  attempted(event: StoredWebhook, end: AttemptEnd, error: unknown): void;
  found(count: number): void;
  /** The worker cannot reach the records. */
  workerFailed(error: unknown): void;
  /** So many rounds of the sweep in a row have been stopped. */
  sweepFailed(error: unknown, failures: number): void;
  observe(backlog: WebhookBacklog): void;
}

/** Five minutes of rounds: until one passes again, a lost webhook is not healed. */
const failuresLoud = 15;

export function createWebhookTelemetry(logger: Logger): WebhookTelemetry {
  const meter = getMeter("sovr.checkout");
  const deliveries = meter.createCounter("webhook_deliveries", {
    description: "Requests to the webhook route, by what they came to.",
  });
  const attempts = countFromZero(
    meter,
    "webhook_attempts",
    "Attempts to process an event, by what became of it; PENDING is tried again.",
    webhookTypes.map((type) => ({ state: "DEAD", type })),
  );
  const swept = meter.createCounter("webhook_swept", {
    description: "Events that the sweep has found before, or instead of, their webhook.",
  });
  const sweepFailures = countFromZero(
    meter,
    "webhook_sweep_failures",
    "Rounds of the sweep that were stopped; each is made again.",
  );
  return {
    delivered(outcome, type) {
      deliveries.add(1, { outcome, type: labelOf(type) });
      const isGood = outcome === "STORED" || outcome === "KNOWN" || outcome === "UNHANDLED";
      logger[isGood ? "debug" : "warn"]({ outcome, type }, "a webhook came");
    },
    attempted(event, end, error) {
      attempts.add(1, { state: end.state, type: labelOf(event.type) });
      logEnd(logger, event, end, error);
    },
    found: (count) => swept.add(count),
    workerFailed: (error) => logger.warn({ err: error }, "webhook events wait"),
    sweepFailed(error, failures) {
      sweepFailures.add(1);
      const level = failures >= failuresLoud ? "error" : "warn";
      logger[level]({ err: error, failures }, "the sweep for lost webhooks waits");
    },
    observe: backlogGauges(),
  };
}

/** Gauges that show the last backlog they were told. */
function backlogGauges(): WebhookTelemetry["observe"] {
  const meter = getMeter("sovr.checkout");
  let backlog: WebhookBacklog = { pending: 0, dead: 0, oldestPendingMs: 0 };
  const gauges = [
    ["webhook_pending", "Events that wait to be processed.", () => backlog.pending],
    ["webhook_dead", "Events that wait for an operator.", () => backlog.dead],
    [
      "webhook_oldest_pending_seconds",
      "How long the oldest event that waits has waited.",
      () => backlog.oldestPendingMs / 1_000,
    ],
  ] as const;
  for (const [name, description, read] of gauges) {
    meter
      .createObservableGauge(name, { description })
      .addCallback((result) => result.observe(read()));
  }
  return (now) => {
    backlog = now;
  };
}

function logEnd(logger: Logger, event: StoredWebhook, end: AttemptEnd, error: unknown): void {
  const { eventId, type, paymentIntentId, attempts } = event;
  const about = { eventId, type, paymentIntentId, attempts };
  if (end.state === "DEAD") {
    logger.error({ ...about, err: error }, "a webhook event is dead; replay it when it can pass");
  } else if (end.state === "PENDING") {
    logger.warn({ ...about, reason: end.lastError }, "a webhook event is tried again");
  } else logger.debug({ ...about, state: end.state }, "a webhook event is processed");
}

/** Stripe has hundreds of types, and each label is a series for ever. */
function labelOf(type: string): string {
  return type === "" || isHandled(type) ? type : "other";
}
