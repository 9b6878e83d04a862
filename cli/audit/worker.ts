import { parentPort, workerData } from "node:worker_threads";
import { ConfigError } from "#common/process/environment.ts";
import { Problem } from "../command/problem.ts";
import { runAudit } from "./run.ts";
import type { AuditThreadMessage, AuditThreadTask } from "./thread.ts";

// The thread of an audit. What is no Problem ends it with an error.
const { config, findingsMax, checkpointFile } = workerData as AuditThreadTask;
const tell = (message: AuditThreadMessage) => parentPort?.postMessage(message);

try {
  const result = await runAudit(config, {
    findingsMax,
    checkpointFile,
    onFinding: (finding) => tell({ finding }),
    onProgress: (progress) => tell({ progress }),
    onResume: ({ transfers, timestamp }) => tell({ resume: { transfers, timestamp } }),
  });
  tell({ result });
} catch (error) {
  if (!(error instanceof Problem || error instanceof ConfigError)) throw error;
  tell({ problem: error.message });
}
