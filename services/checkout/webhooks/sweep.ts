import { setTimeout as sleep } from "node:timers/promises";
import type { StripeEvents, WebhookStore } from "./ports.ts";
import { webhookTypes } from "./process-event.ts";

export interface WebhookSweepOptions {
  readonly store: Pick<WebhookStore, "insert" | "claimSweep" | "advanceSweep">;
  readonly events: StripeEvents;
  /** Hears of events that no webhook has told yet. */
  readonly onFound: (count: number) => void;
  /** Hears what stopped a round, and how many have been stopped in a row. */
  readonly onError: (error: unknown, failures: number) => void;
  readonly times?: Partial<SweepTimes>;
}

/** Milliseconds, and counts. */
export interface SweepTimes {
  readonly everyMs: number;
  /** How far before the end of the last round one begins: Stripe's list may learn of events late. */
  readonly overlapMs: number;
  readonly pageMs: number;
  /** Pages of 100 in one round; the next goes on after them. */
  readonly pagesMax: number;
  /** So often a round that was not finished is taken up; then one begins where the last whole one ended. */
  readonly failuresMax: number;
}

export const sweepTimes: SweepTimes = {
  everyMs: 20_000,
  overlapMs: 120_000,
  pageMs: 10_000,
  pagesMax: 50,
  failuresMax: 3,
};

/** Where a round that was not finished goes on. */
interface Unfinished {
  readonly sinceMs: number;
  readonly after: string;
  /** The newest event that it has seen. */
  readonly newestMs: number;
}

/**
 * Stores what Stripe has told and no webhook has brought, every 20 seconds: a lost webhook is healed within a minute.
 * Every replica tries; one of them does it.
 */
export function startWebhookSweep(options: WebhookSweepOptions): { stop(): Promise<void> } {
  const times = { ...sweepTimes, ...options.times };
  const stopping = new AbortController();
  const { signal } = stopping;
  const run = async () => {
    let unfinished: Unfinished | undefined;
    let failures = 0;
    while (!signal.aborted) {
      let waitMs = times.everyMs;
      try {
        unfinished = await sweepOnce(options, times, unfinished, signal);
        failures = 0;
        // What is left over does not wait for the next time.
        if (unfinished !== undefined) waitMs /= 20;
      } catch (error) {
        failures += 1;
        // Stripe may know the event no longer after which it was to go on.
        if (failures >= times.failuresMax) unfinished = undefined;
        if (!signal.aborted) options.onError(error, failures);
      }
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
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

/** One round. Returns where the next one goes on, if this one saw too many pages. */
export async function sweepOnce(
  { store, events, onFound }: Omit<WebhookSweepOptions, "onError" | "times">,
  times: SweepTimes,
  unfinished: Unfinished | undefined,
  signal: AbortSignal,
): Promise<Unfinished | undefined> {
  let sinceMs = unfinished?.sinceMs;
  if (sinceMs === undefined) {
    // Held for less than a period, so that whoever has it gets it again.
    const sweptToMs = await store.claimSweep(times.everyMs * 0.75);
    if (sweptToMs === undefined) return undefined;
    sinceMs = sweptToMs - times.overlapMs;
  }
  let after = unfinished?.after;
  let newestMs = unfinished?.newestMs ?? 0;
  for (let count = 0; count < times.pagesMax; count += 1) {
    const limit = { deadlineMs: Date.now() + times.pageMs, signal };
    const page = await events.list({ sinceMs, types: webhookTypes, after }, limit);
    const found = await store.insert(page.events);
    if (found.length > 0) onFound(found.length);
    newestMs = page.events.reduce((ms, { createTimeMs }) => Math.max(ms, createTimeMs), newestMs);
    after = page.next;
    if (after === undefined) {
      // By Stripe's own clock: ours may be ahead of it.
      if (newestMs > 0) await store.advanceSweep(newestMs);
      return undefined;
    }
  }
  return after === undefined ? undefined : { sinceMs, after, newestMs };
}
