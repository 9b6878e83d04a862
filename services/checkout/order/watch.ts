import { Places } from "#common/places.ts";

/** Tells those who watch a checkout that it changed. */
export interface CheckoutWatch {
  /** Calls `onChange` after every change of a checkout, until the result is called. Throws what `onFull` makes. */
  listen(intentId: string, onChange: () => void): () => void;
  /** The checkout has changed. */
  changed(intentId: string): void;
  /** Any may have changed: the connection was lost for a while. */
  changedAny(): void;
}

/** Makes a watch. `watchersMax`: beyond it, listen throws what `onFull` makes. */
export function createCheckoutWatch(watchersMax: number, onFull: () => Error): CheckoutWatch {
  const places = new Places(watchersMax, onFull);
  const watchers = new Map<string, Set<() => void>>();
  return {
    listen(intentId, onChange) {
      const leave = places.take();
      const those = watchers.get(intentId) ?? new Set();
      const watcher = () => onChange();
      watchers.set(intentId, those.add(watcher));
      return () => {
        leave();
        if (those.delete(watcher) && those.size === 0) watchers.delete(intentId);
      };
    },
    changed(intentId) {
      for (const onChange of watchers.get(intentId) ?? []) onChange();
    },
    changedAny() {
      for (const those of watchers.values()) for (const onChange of those) onChange();
    },
  };
}
