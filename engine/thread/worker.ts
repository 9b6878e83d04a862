import { parentPort, workerData } from "node:worker_threads";
import { type ReplyMessage, type RequestMessage, startWorker, type WorkerInit } from "./serve.ts";

// The engine's thread: it owns the database connection, so that neither a batch nor a page of
// 8189 rows ever blocks the caller's event loop.
if (!parentPort) throw new Error("worker.ts runs as a worker thread only");
const port = parentPort;
const init: WorkerInit = workerData;
const worker = startWorker(init);
port.on("message", (request: RequestMessage) => {
  if (request.operation === "close") {
    worker.close();
    port.close();
    return;
  }
  const reply = worker.answer(request);
  port.postMessage(reply satisfies ReplyMessage, reply.ok ? [reply.buffer] : []);
  worker.afterReply();
});
worker.open();
port.postMessage({ ok: "ready" } satisfies ReplyMessage);
