import type { Logger } from "./logger.ts";

/** How something that serves ends. */
export interface Stopping {
  /** Drains and stops, as SIGTERM does; a second call while it drains forces the end. Resolves when all is closed. */
  stop(): Promise<void>;
  /** Resolves when it has stopped, whatever stopped it. */
  readonly stopped: Promise<void>;
}

/** Drains once, on SIGTERM, SIGINT or `stop`; `forced` fires on the second of them. */
export function stopOnSignal(
  logger: Logger,
  drain: (forced: AbortSignal) => Promise<void>,
): Stopping {
  const forced = new AbortController();
  const end = Promise.withResolvers<void>();
  let stopping = false;

  function stop(): Promise<void> {
    if (stopping) forced.abort();
    else {
      stopping = true;
      drain(forced.signal)
        .finally(() => process.off("SIGTERM", onSignal).off("SIGINT", onSignal))
        .then(end.resolve, end.reject);
    }
    return end.promise;
  }

  function onSignal(signal: NodeJS.Signals): void {
    logger.info({ signal }, stopping ? "forced to stop" : "stopping");
    stop().catch((error: unknown) => logger.error({ err: error }, "stopped with an error"));
  }

  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  return { stop, stopped: end.promise };
}
