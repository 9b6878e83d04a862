import { type MessagePort, Worker } from "node:worker_threads";
import type { CallLimit } from "#common/deadline.ts";
import type { SignatureCounts } from "#common/intent/signature-metrics.ts";
import type { ClearingConfig } from "../config.ts";
import type { Caller } from "../core/clearing.ts";
import type { LedgerOperation } from "../drivers/tigerbeetle.ts";

/**
 * Threads that clear pages of batches. Each has a clearing house of its own, as another replica has, so that no single
 * call waits for what a batch does to the event loop, the heap or the connections.
 */
export interface BatchThreads {
  /** How many pages keep all threads busy, and how many keep one busy. */
  readonly pagesMax: number;
  readonly gentlePagesMax: number;
  /** As ClearPage. `gently`: on as few threads as can be, which leave the processor to others often. */
  clearPage(page: Uint8Array, caller: Caller, limit: PageLimit): Promise<Uint8Array>;
  /** Closes what the threads opened, and ends them. */
  close(): Promise<void>;
}

export interface PageLimit extends CallLimit {
  readonly gently: boolean;
}

/** Hears of what happens on the threads. */
export interface BatchObserver {
  readonly onFault: (error: unknown, message: string) => void;
  readonly onLedgerAnswer: (operation: LedgerOperation, events: number, durationMs: number) => void;
}

/** What a thread is started with. */
export interface ThreadStart {
  readonly config: ClearingConfig;
  /** Of the service's client of the ledger, where the engine is shared. */
  readonly sharedPort: MessagePort | undefined;
}

/** What a thread is told. */
export type ThreadOrder =
  | {
      readonly kind: "PAGE";
      readonly id: number;
      readonly bytes: Uint8Array;
      readonly caller: Caller;
      readonly deadlineMs: number;
      readonly gently: boolean;
    }
  /** Nobody waits for the page any more. */
  | { readonly kind: "ABANDON"; readonly id: number }
  | { readonly kind: "CLOSE" };

/** What a thread tells. */
export type ThreadReport =
  /** `signatures`: those checked since the last page. */
  | {
      readonly kind: "CLEARED";
      readonly id: number;
      readonly bytes: Uint8Array;
      readonly signatures: SignatureCounts;
    }
  | { readonly kind: "FAILED"; readonly id: number; readonly error: unknown }
  | { readonly kind: "FAULT"; readonly error: unknown; readonly message: string }
  | {
      readonly kind: "LEDGER_ANSWER";
      readonly operation: LedgerOperation;
      readonly events: number;
      readonly durationMs: number;
    };

/** One is read while the other waits for PostgreSQL or the ledger. */
const pagesPerThread = 2;
/** How long a thread has to close: less than the service itself has. */
const closeMs = 4_000;

/** A page leaves nothing behind but known accounts, 20 MB at most. Without a bound V8 would let garbage take the memory. */
const resourceLimits = { maxYoungGenerationSizeMb: 16, maxOldGenerationSizeMb: 256 };

export interface BatchThreadsOptions extends BatchObserver {
  /** How many threads, 1 or more. */
  readonly count: number;
  readonly onSignatures: (counts: SignatureCounts) => void;
  /** A port to the engine for a thread, if that is shared. */
  readonly sharePort: () => MessagePort | undefined;
}

/**
 * Starts the threads. Pages wait for a thread that has not opened yet what it needs; one that cannot ends the process,
 * and so does one that throws later, as if the process had thrown that itself.
 */
export function startBatchThreads(
  config: ClearingConfig,
  options: BatchThreadsOptions,
): BatchThreads {
  const threads = Array.from({ length: options.count }, () => new BatchThread(config, options));
  return {
    pagesMax: threads.length * pagesPerThread,
    gentlePagesMax: pagesPerThread,
    clearPage: (page, caller, limit) => {
      const thread = threads.find(({ pages }) => pages < pagesPerThread) ?? threads[0];
      if (thread === undefined) throw new Error("there is no thread");
      return thread.clearPage(page, caller, limit);
    },
    close: async () => {
      await Promise.all(threads.map((thread) => thread.close()));
    },
  };
}

interface WaitingPage {
  readonly resolve: (page: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
}

class BatchThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, WaitingPage>();
  readonly #exited: Promise<void>;
  #next = 0;
  #closing = false;

  constructor(config: ClearingConfig, options: BatchThreadsOptions) {
    const sharedPort = options.sharePort();
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url), {
      workerData: { config, sharedPort } satisfies ThreadStart,
      transferList: sharedPort === undefined ? [] : [sharedPort],
      resourceLimits,
    });
    this.#worker.on("message", (report: ThreadReport) => this.#hear(report, options));
    this.#exited = new Promise((resolve) => {
      this.#worker.once("exit", (code) => {
        if (!this.#closing) throw new Error(`a batch thread ended with ${code}`);
        resolve();
      });
    });
  }

  /** How many it has. */
  get pages(): number {
    return this.#waiting.size;
  }

  clearPage(page: Uint8Array, caller: Caller, limit: PageLimit): Promise<Uint8Array> {
    const { deadlineMs, signal, gently } = limit;
    const id = this.#next++;
    // A copy to give away: the page is a part of what the batch came in.
    const bytes = new Uint8Array(page);
    const { wallet } = caller;
    const cleared = new Promise<Uint8Array>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
    this.#tell({ kind: "PAGE", id, bytes, caller: { wallet }, deadlineMs, gently }, [bytes.buffer]);
    const abandon = () => this.#tell({ kind: "ABANDON", id });
    signal?.addEventListener("abort", abandon, { once: true });
    return cleared.finally(() => signal?.removeEventListener("abort", abandon));
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#tell({ kind: "CLOSE" });
    const late = setTimeout(() => void this.#worker.terminate(), closeMs);
    await this.#exited;
    clearTimeout(late);
  }

  #tell(order: ThreadOrder, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(order, transfer);
  }

  #hear(report: ThreadReport, options: BatchThreadsOptions): void {
    switch (report.kind) {
      case "CLEARED":
        options.onSignatures(report.signatures);
        this.#take(report.id)?.resolve(report.bytes);
        return;
      case "FAILED":
        this.#take(report.id)?.reject(report.error);
        return;
      case "FAULT":
        options.onFault(report.error, report.message);
        return;
      case "LEDGER_ANSWER":
        options.onLedgerAnswer(report.operation, report.events, report.durationMs);
        return;
    }
  }

  #take(id: number): WaitingPage | undefined {
    const page = this.#waiting.get(id);
    this.#waiting.delete(id);
    return page;
  }
}
