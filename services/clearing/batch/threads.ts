import { type MessagePort, Worker } from "node:worker_threads";
import type { BreakerCells } from "#common/breaker.ts";
import type { Caller } from "#common/caller.ts";
import type { CallLimit } from "#common/deadline.ts";
import { DomainError } from "#common/domain-error.ts";
import type { SignatureCounts } from "#common/intent/signature-metrics.ts";
import type { BatchJson } from "#common/rpc/mount.ts";
import type { ClearingConfig } from "../config.ts";
import type { OnLedgerAnswer } from "../drivers/tigerbeetle.ts";
import type { ThreadOrder, ThreadReport, ThreadStart } from "./messages.ts";

/**
 * Threads that clear slices of batches. Each has a clearing house of its own, as another replica has, so that no single
 * call waits for what a batch does to the event loop, the heap or the connections.
 */
export interface BatchThreads {
  /** How many slices keep all threads busy, and how many keep one busy. */
  readonly slicesMax: number;
  readonly gentleSlicesMax: number;
  /** As ClearSlice. `gently`: on as few threads as can be, which leave the processor to others often. */
  clearSlice(slice: Uint8Array, caller: Caller, limit: SliceLimit): Promise<Uint8Array>;
  /** Reads and writes the JSON of whole batches, on the thread that clears least. */
  readonly json: BatchJson;
  /** Closes what the threads opened, and ends them. */
  close(): Promise<void>;
}

export interface SliceLimit extends CallLimit {
  readonly gently: boolean;
}

/** Hears of what happens on the threads. */
export interface BatchObserver {
  readonly onFault: (error: unknown, message: string) => void;
  readonly onLedgerAnswer: OnLedgerAnswer;
  /** Of the newest row of a request, nanoseconds. */
  readonly onCommit: (timestamp: bigint) => void;
}

/** One is read while the other waits for PostgreSQL or the ledger. */
const slicesPerThread = 2;
/** How long a thread has to close: less than the service itself has. */
const closeMs = 4_000;

/** A slice leaves nothing behind but known accounts, 20 MB at most. Without a bound V8 would let garbage take the memory. */
const resourceLimits = { maxYoungGenerationSizeMb: 16, maxOldGenerationSizeMb: 256 };

export interface BatchThreadsOptions extends BatchObserver {
  /** How many threads, 1 or more. */
  readonly count: number;
  readonly onSignatures: (counts: SignatureCounts) => void;
  /** A port to the engine for a thread, if that is shared. */
  readonly sharePort: () => MessagePort | undefined;
  /** Of the service's breaker, with a line for each thread. */
  readonly cells: BreakerCells;
}

/**
 * Starts the threads. Slices wait for a thread that has not opened yet what it needs; one that cannot ends the process,
 * and so does one that throws later, as if the process had thrown that itself.
 */
export function startBatchThreads(
  config: ClearingConfig,
  options: BatchThreadsOptions,
): BatchThreads {
  const threads = Array.from(
    { length: options.count },
    (_, thread) => new BatchThread(config, thread, options),
  );
  return {
    slicesMax: threads.length * slicesPerThread,
    gentleSlicesMax: slicesPerThread,
    clearSlice: (slice, caller, limit) => {
      const thread = threads.find(({ slices }) => slices < slicesPerThread) ?? threads[0];
      if (thread === undefined) throw new Error("there is no thread");
      return thread.clearSlice(slice, caller, limit);
    },
    json: {
      read: (json) => leastBusy(threads).convert("READ_JSON", json),
      write: (answer) => leastBusy(threads).convert("WRITE_JSON", answer),
    },
    close: async () => {
      await Promise.all(threads.map((thread) => thread.close()));
    },
  };
}

function leastBusy(threads: readonly BatchThread[]): BatchThread {
  const [least, ...others] = threads;
  if (least === undefined) throw new Error("there is no thread");
  return others.reduce((best, thread) => (thread.slices < best.slices ? thread : best), least);
}

interface WaitingSlice {
  readonly resolve: (slice: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
}

class BatchThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, WaitingSlice>();
  readonly #exited: Promise<void>;
  #next = 0;
  #closing = false;

  constructor(config: ClearingConfig, thread: number, options: BatchThreadsOptions) {
    const { cells } = options;
    const sharedPort = options.sharePort();
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url), {
      workerData: { config, sharedPort, cells, thread } satisfies ThreadStart,
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
  get slices(): number {
    return this.#waiting.size;
  }

  clearSlice(slice: Uint8Array, caller: Caller, limit: SliceLimit): Promise<Uint8Array> {
    const { deadlineMs, signal, gently } = limit;
    const id = this.#next++;
    // A copy to give away: the slice is a part of what the batch came in.
    const bytes = new Uint8Array(slice);
    const { wallet, merchant } = caller;
    const cleared = new Promise<Uint8Array>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
    this.#tell({ kind: "SLICE", id, bytes, caller: { wallet, merchant }, deadlineMs, gently }, [
      bytes.buffer,
    ]);
    const abandon = () => this.#tell({ kind: "ABANDON", id });
    signal?.addEventListener("abort", abandon, { once: true });
    return cleared.finally(() => signal?.removeEventListener("abort", abandon));
  }

  convert(kind: "READ_JSON" | "WRITE_JSON", bytes: Uint8Array): Promise<Uint8Array> {
    const id = this.#next++;
    const given = new Uint8Array(bytes);
    const converted = new Promise<Uint8Array>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
    this.#tell({ kind, id, bytes: given }, [given.buffer]);
    return converted;
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
      case "JSON":
        this.#take(report.id)?.resolve(report.bytes);
        return;
      case "REFUSED": {
        const { message, metadata, violations } = report;
        const refusal = DomainError.received("INVALID_FIELD", message, { metadata, violations });
        this.#take(report.id)?.reject(refusal);
        return;
      }
      case "FAILED":
        this.#take(report.id)?.reject(report.error);
        return;
      case "FAULT":
        options.onFault(report.error, report.message);
        return;
      case "COMMIT":
        options.onCommit(report.timestamp);
        return;
      case "LEDGER_ANSWER":
        options.onLedgerAnswer(report.operation, report.events, report.durationMs);
        return;
    }
  }

  #take(id: number): WaitingSlice | undefined {
    const slice = this.#waiting.get(id);
    this.#waiting.delete(id);
    return slice;
  }
}
