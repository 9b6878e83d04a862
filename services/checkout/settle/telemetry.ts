import type { Logger } from "#common/process/logger.ts";
import { countFromZero, getMeter } from "#common/process/metrics.ts";
import type { DueCheckout, Overdue } from "../ports.ts";
import { alarmEnds, type RaiseAlarm } from "./ports.ts";

/** What has not come on for so long wants somebody to look: money may be owed, and trying again has not helped. */
export const overdueMs = 900_000;

/** Hears of checkouts that do not come on, and tells operators. */
export interface SettleTelemetry {
  readonly alarm: RaiseAlarm;
  /** A check of what was due has failed, and will be made again; undefined: the records cannot be reached. */
  checkFailed(due: DueCheckout | undefined, error: unknown): void;
  observe(overdue: Overdue): void;
}

export function createSettleTelemetry(logger: Logger): SettleTelemetry {
  const meter = getMeter("sovr.checkout");
  const alarms = countFromZero(
    meter,
    "checkout_alarms",
    "Checkouts that have come to an end that somebody must look after, by the end.",
    alarmEnds.map((end) => ({ end })),
  );
  let overdue: Overdue = { count: 0, oldestMs: 0 };
  meter
    .createObservableGauge("checkout_overdue", {
      description: "Checkouts that have been due for a quarter of an hour without coming on.",
    })
    .addCallback((result) => result.observe(overdue.count));
  meter
    .createObservableGauge("checkout_oldest_overdue_seconds", {
      description: "How long the oldest of them has been due.",
    })
    .addCallback((result) => result.observe(overdue.oldestMs / 1_000));
  return {
    alarm({ end, intentId, cause }) {
      alarms.add(1, { end });
      logger.error({ intentId, end, err: cause }, "a checkout has ended and wants an operator");
    },
    checkFailed(due, error) {
      if (due !== undefined && due.overdueMs >= overdueMs) {
        logger.error(
          { ...due, err: error },
          "a checkout is overdue and does not come on; it is tried again",
        );
      } else logger.warn({ ...due, err: error }, "a checkout waits and is tried again");
    },
    observe(now) {
      overdue = now;
    },
  };
}
