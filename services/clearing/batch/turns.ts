/** Says that whoever was let in has left. */
type Leave = () => void;

/** Lets in, or answers undefined as soon as the signal fires before its turn came. Who was let in must leave. */
type Enter = (signal: AbortSignal | undefined) => Promise<Leave | undefined>;

/** Lets in as many at once as `max` says at the time, in the order in which they came. */
export function createTurns(max: () => number): Enter {
  const waiting = new Set<() => void>();
  let inside = 0;
  const letIn = () => {
    for (const enter of waiting) {
      if (inside >= max()) return;
      waiting.delete(enter);
      inside += 1;
      enter();
    }
  };
  const leave = () => {
    inside -= 1;
    letIn();
  };
  return (signal) =>
    new Promise((resolve) => {
      if (signal?.aborted === true) return resolve(undefined);
      const enter = () => {
        signal?.removeEventListener("abort", giveUp);
        resolve(leave);
      };
      const giveUp = () => {
        waiting.delete(enter);
        resolve(undefined);
      };
      signal?.addEventListener("abort", giveUp, { once: true });
      waiting.add(enter);
      letIn();
    });
}
