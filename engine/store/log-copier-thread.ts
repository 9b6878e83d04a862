import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import { COPY_LOG } from "./log-copier.ts";

// A connection that copies the log into the file when told, and tells when it has.
if (!parentPort) throw new Error("log-copier-thread.ts runs as a worker thread only");
const port = parentPort;
const db = new DatabaseSync(workerData);
db.exec("PRAGMA synchronous = FULL");
port.on("message", (order: "copy" | "close") => {
  if (order === "close") {
    db.close();
    port.close();
    return;
  }
  try {
    db.exec(COPY_LOG);
  } catch {
    // Busy or out of space: the log keeps everything, and the next time tries again.
  }
  port.postMessage("copied");
});
