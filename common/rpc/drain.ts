import { type ContextKey, createContextKey } from "@connectrpc/connect";

/**
 * Where a handler's context holds the signal that fires when draining starts: a stream then sends `closing`
 * and throws DRAINING. Outside of the runtime it never fires.
 */
export const drainSignalKey: ContextKey<AbortSignal> = createContextKey(
  new AbortController().signal,
  { description: "drain" },
);
