import { statfsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export interface RestartPause {
  /** How long it lasts at most. */
  readonly delayMs: number;
  /** The state folder, on the disk that whatever runs writes to. */
  readonly folder: string;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Bytes that are free for others than root; undefined where that cannot be told. Default: as the system says. */
  readonly freeBytes?: (folder: string) => number | undefined;
}

/** With less, a server that recovers ends at once: PostgreSQL needs a few segments of its log. */
const roomBytes = 8 * 1024 * 1024;
const lookMs = 200;

/**
 * Waits before a part is started again: "time" when the delay is over, "room" as soon as a disk that was full is no longer.
 * Whatever ended the part, that is the moment at which another try is worth it.
 */
export async function pauseBeforeRestart(pause: RestartPause): Promise<"time" | "room"> {
  const { delayMs, folder, signal, freeBytes = freeBytesOf } = pause;
  const isFull = () => (freeBytes(folder) ?? Number.POSITIVE_INFINITY) < roomBytes;
  let wasFull = isFull();
  for (const endMs = performance.now() + delayMs; ; ) {
    const leftMs = endMs - performance.now();
    if (leftMs <= 0 || signal.aborted) return "time";
    await sleep(Math.min(leftMs, lookMs), undefined, { signal }).catch(() => undefined);
    const full = isFull();
    if (wasFull && !full) return "room";
    wasFull = full;
  }
}

function freeBytesOf(folder: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return undefined; // a disk that is gone is another trouble
  }
}
