import { durationHistogram, getMeter } from "#common/process/metrics.ts";
import type { OnCall } from "./call.ts";

/** Measures calls to Stripe, for `createStripe`. */
export function measureStripe(): OnCall {
  const duration = durationHistogram(
    getMeter("sovr.checkout"),
    "stripe_request_duration_seconds",
    "Calls to Stripe, by operation and by whether they were answered, refused, or not answered in time.",
  );
  return (operation, outcome, durationMs) => {
    duration.record(durationMs / 1_000, { operation, outcome });
  };
}
