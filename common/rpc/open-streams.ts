/**
 * The streams that are open on the wire, whatever became of their handlers: what a client does not read stays open long
 * after its handler has ended.
 */
export interface OpenStreams {
  /** Takes notice of a stream. `cut` ends it at once, read or not. Returns what to call when it has closed. */
  opened(cut: () => void): () => void;
  /** Resolves when none is open any more, or when the signal fires. */
  ended(signal: AbortSignal): Promise<void>;
  /** Cuts all that are open. */
  cut(): void;
}

export function createOpenStreams(): OpenStreams {
  const cuts = new Set<() => void>();
  const waiting = new Set<() => void>();
  return {
    opened(cut) {
      cuts.add(cut);
      return () => {
        cuts.delete(cut);
        if (cuts.size > 0) return;
        for (const resolve of waiting) resolve();
        waiting.clear();
      };
    },
    ended(signal) {
      if (cuts.size === 0 || signal.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        waiting.add(resolve);
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    },
    cut() {
      for (const cut of cuts) cut();
    },
  };
}
