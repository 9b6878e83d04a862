import { setTimeout as sleep } from "node:timers/promises";
import { ConnectError } from "@connectrpc/connect";
import { Stripe } from "stripe";
import { errorReason } from "../../../cli/client/errors.ts";

/** What a call came to: an answer, or why it was refused for good. */
export type Outcome<T> =
  | { readonly answer: T; readonly reason?: undefined }
  | { readonly answer?: never; readonly reason: string };

/** Reasons that say "not now": a client asks again, with the same ids. */
const passing = new Set([
  "RECORDS_UNAVAILABLE",
  "LEDGER_UNAVAILABLE",
  "PAYMENTS_UNAVAILABLE",
  "OUTCOME_UNKNOWN",
  "NOT_SENT",
  "DRAINING",
  "CANCELLED",
  "RATE_LIMITED",
  "EDGE_UNAVAILABLE",
  "EDGE_TIMEOUT",
]);

const patienceMs = 120_000;
const pauseMs = 200;

/** Repeats a call as clients do, until it is answered or refused for good. Rejects after two minutes. */
export async function persist<T>(call: () => Promise<T>): Promise<Outcome<T>> {
  for (const untilMs = Date.now() + patienceMs; ; ) {
    try {
      return { answer: await call() };
    } catch (error) {
      const reason = refusalOf(error);
      if (reason !== undefined) return { reason };
      if (Date.now() > untilMs) throw new Error("nobody answered", { cause: error });
      await sleep(pauseMs);
    }
  }
}

/** Why a call was refused for good; undefined if it may pass the next time. */
export function refusalOf(error: unknown): string | undefined {
  if (error instanceof Stripe.errors.StripeError) {
    const { statusCode: status, code, type } = error;
    const isAway = status === undefined || status >= 500 || status === 409 || status === 429;
    return isAway ? undefined : (code ?? type);
  }
  const reason = errorReason(ConnectError.from(error));
  return reason === undefined || passing.has(reason) ? undefined : reason;
}
