import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Policies } from "#common/approval/policy.ts";
import { DomainError } from "#common/domain-error.ts";
import type { IntentDomain } from "#common/intent/digest.ts";
import type { Signers } from "#common/intent/signers.ts";
import type { Finding } from "./finding.ts";
import type { PackedTransfers } from "./packed-transfers.ts";

/** What every examiner must be told. */
export interface ExaminerConfig {
  readonly databaseUrl: string;
  readonly domain: IntentDomain;
  readonly signers: Signers;
  readonly policies: Policies;
}

/** A page that an examiner is to look at. */
export interface ExaminerTask {
  readonly id: number;
  readonly page: PackedTransfers;
}

/** What it found; or why it could not look. */
export type ExaminerAnswer = { readonly id: number } & (
  | { readonly findings: readonly Finding[] }
  | { readonly unavailable: string }
);

export interface Examiners {
  readonly count: number;
  /** ExamineTransfers of a page. */
  readonly examine: (page: PackedTransfers) => Promise<readonly Finding[]>;
  close(): Promise<void>;
}

interface Waiting {
  readonly resolve: (findings: readonly Finding[]) => void;
  readonly reject: (error: unknown) => void;
}

/** In MB. A page and its evidence need a fraction; without limits garbage would pile up before it is looked for. */
const resourceLimits = { maxYoungGenerationSizeMb: 6, maxOldGenerationSizeMb: 32 };

/**
 * Examines on threads of its own, a page at a time each: signatures and digests are what an audit's time goes into.
 * RECORDS_UNAVAILABLE when PostgreSQL does not answer.
 */
export function startExaminers(count: number, config: ExaminerConfig): Examiners {
  const waiting = new Map<number, Waiting>();
  const failAll = (error: unknown) => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  const workers = Array.from({ length: count }, () => {
    const worker = new Worker(new URL("./examiner-worker.ts", import.meta.url), {
      workerData: config,
      resourceLimits,
    });
    worker.on("message", (answer: ExaminerAnswer) => {
      const page = waiting.get(answer.id);
      waiting.delete(answer.id);
      if ("findings" in answer) page?.resolve(answer.findings);
      else page?.reject(new DomainError("RECORDS_UNAVAILABLE", answer.unavailable));
    });
    worker.on("error", failAll);
    return worker;
  });
  let next = 0;
  return {
    count,
    examine: (page) =>
      new Promise((resolve, reject) => {
        const id = next;
        next += 1;
        waiting.set(id, { resolve, reject });
        const task: ExaminerTask = { id, page };
        workers[id % workers.length]?.postMessage(task);
      }),
    close: async () => {
      await Promise.all(
        workers.map((worker) => {
          const ended = once(worker, "exit");
          worker.postMessage("close");
          return ended;
        }),
      );
    },
  };
}
