/** Tells those who watch a checkout that it changed. */
export interface CheckoutWatch {
  open(intentId: string): Changes;
  /** The checkout has changed. */
  changed(intentId: string): void;
  /** Any may have changed: the connection was lost for a while. */
  changedAny(): void;
}

/** The changes of one checkout, from when it was opened on. Those that nobody has waited for count as one. */
export interface Changes {
  /** True after a change, or when it is time to look for one that was not told; false after `signal`. */
  next(signal: AbortSignal): Promise<boolean>;
  close(): void;
}

/** A notification may be lost with its connection; a look every so often finds what it was about. */
const lookMs = 15_000;

/** Makes a watch. `watchersMax`: beyond it, open throws what `onFull` makes. */
export function createCheckoutWatch(watchersMax: number, onFull: () => Error): CheckoutWatch {
  const watchers = new Map<string, Set<() => void>>();
  let count = 0;

  const open = (intentId: string): Changes => {
    if (count >= watchersMax) throw onFull();
    count += 1;
    let isChanged = false;
    let wake = () => {};
    const onChange = () => {
      isChanged = true;
      wake();
    };
    const those = watchers.get(intentId) ?? new Set();
    watchers.set(intentId, those.add(onChange));
    return {
      async next(signal) {
        if (!isChanged && !signal.aborted) await untilWoken(signal, (woken) => (wake = woken));
        isChanged = false;
        return !signal.aborted;
      },
      close() {
        if (!those.delete(onChange)) return;
        count -= 1;
        if (those.size === 0) watchers.delete(intentId);
      },
    };
  };

  return {
    open,
    changed: (intentId) => {
      for (const onChange of watchers.get(intentId) ?? []) onChange();
    },
    changedAny: () => {
      for (const those of watchers.values()) for (const onChange of those) onChange();
    },
  };
}

function untilWoken(signal: AbortSignal, waits: (wake: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, lookMs);
    signal.addEventListener("abort", done, { once: true });
    waits(done);
  });
}
