/** How long a call may take, and whose it is. */
export interface CallLimit {
  /** Epoch milliseconds. */
  readonly deadlineMs: number;
  /** Fires when the caller leaves. */
  readonly signal?: AbortSignal | undefined;
  /** Names the caller's call to those who are called for it, so that their logs name it too. Opaque to the core. */
  readonly trace?: (() => Readonly<Record<string, string>>) | undefined;
}

/** The longest that a timer of Node can wait; above it fires at once. */
export const timerMaxMs = 2 ** 31 - 1;

/**
 * The wait until a deadline (epoch milliseconds), as every timer of Node can hold it: whole milliseconds, from 0, which has
 * passed, to 24 days.
 */
export function waitMsUntil(deadlineMs: number): number {
  return Math.min(Math.max(0, Math.ceil(deadlineMs - Date.now())), timerMaxMs);
}

/**
 * Races work against a signal and a time. TigerBeetle's client never times out, so every call of it is raced;
 * the work itself goes on and its late result is dropped. `onLate` makes the error of the caller's situation.
 */
export async function raceDeadline<T>(
  work: Promise<T>,
  limit: CallLimit,
  onLate: () => Error,
): Promise<T> {
  const { signal } = limit;
  let cancel = () => {};
  const late = new Promise<never>((_, reject) => {
    const fail = () => reject(onLate());
    if (signal?.aborted) return fail();
    const timer = setTimeout(fail, waitMsUntil(limit.deadlineMs));
    signal?.addEventListener("abort", fail, { once: true });
    cancel = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", fail);
    };
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    cancel();
  }
}
