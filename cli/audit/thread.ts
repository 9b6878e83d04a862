import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";
import { Problem } from "../command/problem.ts";
import type { AuditResult, AuditState, Progress } from "./audit-ledger.ts";
import type { AuditConfig } from "./config.ts";
import type { Finding } from "./finding.ts";
import type { RunAuditOptions } from "./run.ts";

/** What the thread is told. */
export interface AuditThreadTask extends Pick<RunAuditOptions, "findingsMax" | "checkpointFile"> {
  readonly config: AuditConfig;
}

/** What the thread tells. */
export type AuditThreadMessage =
  | { readonly resume: Pick<AuditState, "transfers" | "timestamp"> }
  | { readonly finding: Finding }
  | { readonly progress: Progress }
  | { readonly result: AuditResult }
  | { readonly problem: string };

/**
 * By how much the heap of what lives long may grow before it is swept, in percent. V8's own choice lets it triple, half of
 * it what has died since.
 */
const heapGrowth = 50;

/**
 * In MB. Nearly everything that an audit makes is garbage at once; with the usual room for the young, three times what
 * the rest of it needs would be garbage that waits. What lives long is not limited.
 */
const resourceLimits = { maxYoungGenerationSizeMb: 6 };

/** Runs an audit as runAudit does, on a thread of its own with little room for garbage. */
export function runAuditOnThread(
  config: AuditConfig,
  options: RunAuditOptions,
): Promise<AuditResult> {
  const { findingsMax, checkpointFile } = options;
  const task: AuditThreadTask = { config, findingsMax, checkpointFile };
  setFlagsFromString(`--heap-growing-percent=${heapGrowth}`);
  const worker = new Worker(new URL("./worker.ts", import.meta.url), {
    workerData: task,
    resourceLimits,
  });
  return new Promise((resolve, reject) => {
    worker.on("message", (message: AuditThreadMessage) => {
      if ("finding" in message) options.onFinding(message.finding);
      else if ("progress" in message) options.onProgress(message.progress);
      else if ("resume" in message) options.onResume?.(message.resume);
      else if ("result" in message) resolve(message.result);
      else reject(new Problem(message.problem));
    });
    worker.once("error", reject);
    worker.once("exit", (code) => reject(new Error(`the audit's thread ended (${code})`)));
  });
}
