import type { DatabaseSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import { EmbeddedLedgerError } from "../errors.ts";
import type { OpenLink } from "./request-queue.ts";
import type { ReplyMessage, RequestMessage, WorkerInit } from "./serve.ts";

/**
 * The link to an engine on a thread of its own. `guard` is the connection that checked the file. It
 * stays open until the thread has its own, because closing the last one copies the whole log into
 * the file, and this is the caller's thread.
 */
export function engineThread(init: WorkerInit, guard: DatabaseSync): OpenLink {
  const releaseGuard = () => {
    if (guard.isOpen) guard.close();
  };
  return ({ onReply, onEnd }) => {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData: init });
    const end = (cause: unknown) => {
      releaseGuard();
      onEnd(
        new EmbeddedLedgerError(
          "ERR_EMBEDDED_STOPPED",
          `The embedded ledger's thread for ${init.path} ended; repeat the request`,
          { cause },
        ),
      );
    };
    worker.unref();
    worker.on("message", (reply: ReplyMessage) => {
      if (reply.ok === "ready") releaseGuard();
      else onReply(reply);
    });
    worker.on("error", end);
    worker.on("exit", () => end(undefined));
    return {
      post: (request) => worker.postMessage(request, [request.buffer]),
      ref: () => worker.ref(),
      unref: () => worker.unref(),
      close: () => {
        releaseGuard();
        worker.postMessage({ operation: "close" } satisfies RequestMessage);
        worker.unref();
      },
    };
  };
}
