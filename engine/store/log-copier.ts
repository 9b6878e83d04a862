import { Worker } from "node:worker_threads";

/**
 * SQLite's command to copy the log into the file. It waits for nobody; what a reader still needs
 * stays, and a log that was copied whole starts anew with the next write.
 */
export const COPY_LOG = "PRAGMA wal_checkpoint(PASSIVE)";

/** Copies the log on a thread of its own, beside the writes: tens of thousands of pages take a while. */
export type LogCopier = {
  /** Begins to copy, unless that is under way. */
  start(): void;
  /** True once after a copy has ended. */
  hasEnded(): boolean;
  close(): void;
};

/** The thread is started with the first copy. */
export function createLogCopier(path: string): LogCopier {
  let thread: Worker | undefined;
  let state: "idle" | "copying" | "ended" = "idle";
  const startThread = (): Worker => {
    const started = new Worker(new URL("./log-copier-thread.ts", import.meta.url), {
      workerData: path,
    });
    started.unref();
    started.on("message", () => {
      state = "ended";
    });
    // A thread that could not go on is replaced next time; until then the log keeps everything.
    started.on("error", () => undefined);
    started.on("exit", () => {
      if (thread === started) thread = undefined;
      if (state === "copying") state = "idle";
    });
    return started;
  };
  return {
    start() {
      if (state === "copying") return;
      state = "copying";
      thread ??= startThread();
      thread.postMessage("copy");
    },
    hasEnded() {
      if (state !== "ended") return false;
      state = "idle";
      return true;
    },
    close() {
      thread?.postMessage("close");
      thread = undefined;
    },
  };
}
