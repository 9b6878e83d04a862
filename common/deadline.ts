/** The longest that a timer of Node can wait; above it fires at once. */
export const timerMaxMs = 2 ** 31 - 1;

/**
 * Races work against a signal and a time. TigerBeetle's client never times out, so every call of it is raced;
 * the work itself goes on and its late result is dropped. `onLate` makes the error of the caller's situation.
 */
export async function raceDeadline<T>(
  work: Promise<T>,
  limit: { readonly deadlineMs: number; readonly signal?: AbortSignal | undefined },
  onLate: () => Error,
): Promise<T> {
  const { signal } = limit;
  let cancel = () => {};
  const late = new Promise<never>((_, reject) => {
    const fail = () => reject(onLate());
    if (signal?.aborted) return fail();
    const waitMs = Math.min(Math.max(0, limit.deadlineMs - Date.now()), timerMaxMs);
    const timer = setTimeout(fail, waitMs);
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
