import { setTimeout as sleep } from "node:timers/promises";

const everyMs = 5_000;

/** Reads what gauges show again and again, so that a scrape need not wait for the records. */
export function refreshGauges(refresh: () => Promise<void>): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const { signal } = stopping;
  const run = async () => {
    while (!signal.aborted) {
      // While the records are away the last numbers stay; readiness tells of it.
      await refresh().catch(() => undefined);
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
