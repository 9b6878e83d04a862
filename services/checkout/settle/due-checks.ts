import { setTimeout as sleep } from "node:timers/promises";
import type { CheckoutStore, DueCheckout } from "../ports.ts";
import type { Settler } from "./ports.ts";

export interface DueChecksOptions {
  readonly store: Pick<CheckoutStore, "claimDue">;
  readonly settler: Pick<Settler, "settle">;
  /** Hears of a checkout that could not be brought on, which will be looked at again; undefined: of the records. */
  readonly onError: (due: DueCheckout | undefined, error: unknown) => void;
}

/** How often it looks for checkouts that are due, how many it takes at once, and how long each may take. */
const everyMs = 1_000;
const takenMax = 16;
const settleMs = 20_000;

/**
 * Looks after checkouts that wait for a time, or that somebody began to bring on and did not finish: a process that
 * died, a peer that was away. Every replica does; none takes what another has.
 */
export function startDueChecks(options: DueChecksOptions): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const { signal } = stopping;
  const settle = async (due: DueCheckout) => {
    try {
      await options.settler.settle(due.intentId, { deadlineMs: Date.now() + settleMs, signal });
    } catch (error) {
      if (!signal.aborted) options.onError(due, error);
    }
  };
  const run = async () => {
    while (!signal.aborted) {
      let taken: readonly DueCheckout[] = [];
      try {
        taken = await options.store.claimDue(takenMax);
      } catch (error) {
        options.onError(undefined, error);
      }
      await Promise.all(taken.map(settle));
      // A full hand means that there are more.
      if (taken.length < takenMax)
        await sleep(everyMs, undefined, { signal }).catch(() => undefined);
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
