import { durationHistogram, getMeter } from "#common/process/metrics.ts";
import type { OnLedgerAnswer } from "./tigerbeetle.ts";

/** Counts the ledger's answers, how long they took and how many events they held. */
export function countLedgerAnswers(): OnLedgerAnswer {
  const meter = getMeter("sovr.tigerbeetle");
  const duration = durationHistogram(
    meter,
    "tigerbeetle_request_duration",
    "Requests to the ledger, from being sent to being answered.",
  );
  const size = meter.createHistogram("tigerbeetle_request_events", {
    description: "Events in a request to the ledger.",
    advice: { explicitBucketBoundaries: [1, 4, 16, 64, 256, 1024, 4096, 8189] },
  });
  return (operation, events, durationMs) => {
    duration.record(durationMs / 1_000, { operation });
    size.record(events, { operation });
  };
}
