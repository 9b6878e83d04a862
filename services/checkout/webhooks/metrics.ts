import { getMeter } from "#common/process/metrics.ts";
import { isHandled } from "./events.ts";
import type { AttemptEnd, WebhookBacklog } from "./ports.ts";
import type { DeliveryOutcome } from "./route.ts";

export interface WebhookMetrics {
  delivered(outcome: DeliveryOutcome, type: string): void;
  attempted(state: AttemptEnd["state"], type: string): void;
  found(count: number): void;
  observe(backlog: WebhookBacklog): void;
}

/** Counts what Stripe tells and what becomes of it. */
export function createWebhookMetrics(): WebhookMetrics {
  const meter = getMeter("sovr.checkout");
  const deliveries = meter.createCounter("webhook_deliveries", {
    description: "Requests to the webhook route, by what they came to.",
  });
  const attempts = meter.createCounter("webhook_attempts", {
    description: "Attempts to process an event, by what became of it; PENDING is tried again.",
  });
  const swept = meter.createCounter("webhook_swept", {
    description: "Events that the sweep has found before, or instead of, their webhook.",
  });
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
  return {
    delivered: (outcome, type) => deliveries.add(1, { outcome, type: labelOf(type) }),
    attempted: (state, type) => attempts.add(1, { state, type: labelOf(type) }),
    found: (count) => swept.add(count),
    observe(now) {
      backlog = now;
    },
  };
}

/** Stripe has hundreds of types, and each label is a series for ever. */
function labelOf(type: string): string {
  return type === "" || isHandled(type) ? type : "other";
}
