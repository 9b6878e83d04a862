import type { DatabaseSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import {
  type Client,
  type CreateAccountResult,
  type CreateTransferResult,
  ErrorCodes,
  RequestError,
} from "tigerbeetle-node";
import {
  Packer,
  packAccountFilter,
  packAccounts,
  packIds,
  packQueryFilter,
  packTransfers,
  unpackAccounts,
  unpackBalances,
  unpackResults,
  unpackTransfers,
} from "./codec.ts";
import { openDatabase } from "./database.ts";
import { EmbeddedLedgerError } from "./errors.ts";
import type { Operation, ReplyMessage, WorkerInit } from "./serve.ts";
import { ROW_WORDS } from "./words.ts";

/** The most events of a request and rows of a reply, as TigerBeetle's default message holds. */
const BATCH_MAX = 8189;

/** From this size on, a request is sent while another one is at work: the thread must not idle. */
const PIPELINE_EVENTS = 256;

export type EmbeddedClientOptions = {
  /** The ledger's file. Its folder must exist; the file is created if it does not. */
  readonly path: string;
  /** The cluster id the file belongs to. */
  readonly clusterId: bigint;
  /** Events a request, and rows a reply, may have. Default 8189. */
  readonly batchMax?: number;
  /** How the file is checked at open. `auto` (the default) is `quick` up to 64 MiB, else `none`. */
  readonly integrityCheck?: "auto" | "none" | "quick" | "full";
  /** Pages of the file that the engine's connection keeps in memory, in MB. Default 64; less suits who reads once. */
  readonly cacheMb?: number;
  /** For tests: a shared 64-bit word with the time in nanoseconds, instead of the clock. */
  readonly clock?: SharedArrayBuffer;
  /** For tests: transfers per epoch of the indexes. */
  readonly epochEvents?: number;
  /** For tests: transfers that an index may lack before they are brought in. */
  readonly indexEvents?: number;
};

type Waiter = {
  readonly count: number;
  readonly resolve: (buffer: ArrayBuffer, first: number, count: number) => void;
  readonly reject: (error: unknown) => void;
};

/** Calls of one operation that will share a message and, if they write, a transaction. */
type Group = {
  readonly operation: Operation;
  readonly packer: Packer;
  readonly waiters: Waiter[];
  events: number;
  /** Rows the reply may have. */
  rows: number;
};

type Unpack<R> = (buffer: ArrayBuffer, first: number, count: number) => R[];

/**
 * TigerBeetle's semantics on one SQLite file, behind the interface of tigerbeetle-node. Throws an
 * {@link EmbeddedLedgerError} at once if the file is another cluster's, too new, not a ledger, or
 * cannot be written. Several processes may open the same file.
 */
export function createEmbeddedClient(options: EmbeddedClientOptions): Client {
  new Packer(4).u128(0, options.clusterId, "cluster_id");
  const queue = new RequestQueue(options, openDatabase(options.path, options.clusterId));
  const batchMax = options.batchMax ?? BATCH_MAX;
  const many = <E, R>(
    operation: Operation,
    pack: (packer: Packer, batch: readonly E[]) => void,
    unpack: Unpack<R>,
  ) => {
    return (batch: E[]): Promise<R[]> =>
      queue.submit(operation, unpack, (begin) => {
        if (!Array.isArray(batch)) throw new Error("Array argument must be an [object Array].");
        if (batch.length > BATCH_MAX) throw new RequestError(ErrorCodes.ERR_TOO_MUCH_DATA);
        const { packer, done } = begin(batch.length, batch.length);
        pack(packer, batch);
        if (batch.length > batchMax) throw new RequestError(ErrorCodes.ERR_TOO_MUCH_DATA);
        done();
      });
  };
  const one = <F extends { limit: number }, R>(
    operation: Operation,
    pack: (packer: Packer, filter: F) => number,
    unpack: Unpack<R>,
  ) => {
    return (filter: F): Promise<R[]> =>
      queue.submit(operation, unpack, (begin) => {
        const { packer, done } = begin(1, Math.min(Number(filter?.limit) || 0, batchMax));
        if (pack(packer, filter) > batchMax) throw new RequestError(ErrorCodes.ERR_TOO_MUCH_DATA);
        done();
      });
  };
  return {
    createAccounts: many("createAccounts", packAccounts, unpackResults<CreateAccountResult>),
    createTransfers: many("createTransfers", packTransfers, unpackResults<CreateTransferResult>),
    lookupAccounts: many("lookupAccounts", packIds, unpackAccounts),
    lookupTransfers: many("lookupTransfers", packIds, unpackTransfers),
    getAccountTransfers: one("getAccountTransfers", packAccountFilter, unpackTransfers),
    getAccountBalances: one("getAccountBalances", packAccountFilter, unpackBalances),
    queryAccounts: one("queryAccounts", packQueryFilter, unpackAccounts),
    queryTransfers: one("queryTransfers", packQueryFilter, unpackTransfers),
    destroy: () => queue.destroy(),
  };
}

type Begin = (count: number, rows: number) => { packer: Packer; done: () => void };

/**
 * Sends requests to the engine's thread in the order of the calls. Like TigerBeetle's client, it
 * lets calls of one operation share a request while an earlier one is at work.
 */
class RequestQueue {
  readonly #init: WorkerInit;
  #worker: Worker | undefined;
  #destroyed = false;
  readonly #inFlight: Group[] = [];
  readonly #pending: Group[] = [];
  /**
   * The connection that checked the file. It stays open until the thread has its own, because
   * closing the last one copies the whole log into the file, and this is the caller's thread.
   */
  #guard: DatabaseSync | undefined;

  constructor(options: EmbeddedClientOptions, guard: DatabaseSync) {
    this.#guard = guard;
    this.#init = {
      path: options.path,
      clusterId: options.clusterId,
      integrityCheck: options.integrityCheck ?? "auto",
      cacheMb: options.cacheMb,
      clock: options.clock,
      epochEvents: options.epochEvents,
      indexEvents: options.indexEvents,
    };
    this.#worker = this.#start();
  }

  submit<R>(operation: Operation, unpack: Unpack<R>, pack: (begin: Begin) => void): Promise<R[]> {
    return new Promise((resolve, reject) => {
      if (this.#destroyed) throw new RequestError(ErrorCodes.ERR_CLIENT_CLOSED);
      const waiter = (count: number): Waiter => ({
        count,
        reject,
        resolve: (buffer, first, rows) => resolve(unpack(buffer, first, rows)),
      });
      let undo: (() => void) | undefined;
      try {
        // Packing reads the caller's objects now, as the native client does.
        pack((count, rows) => {
          const group = this.#groupFor(operation, count, rows);
          const { length } = group.packer;
          undo = () => group.packer.truncate(length);
          return {
            packer: group.packer,
            done: () => {
              group.waiters.push(waiter(count));
              group.events += count;
              group.rows += rows;
              if (group.waiters.length === 1) this.#pending.push(group);
            },
          };
        });
      } catch (error) {
        undo?.();
        throw error;
      }
      this.#send();
    });
  }

  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#releaseGuard();
    this.#worker?.postMessage({ operation: "close" });
    this.#worker?.unref();
    this.#worker = undefined;
    this.#rejectAll(() => new RequestError(ErrorCodes.ERR_CLIENT_CLOSED));
  }

  /** The waiting group that still has room, or a new one. */
  #groupFor(operation: Operation, count: number, rows: number): Group {
    for (const group of this.#pending) {
      if (
        group.operation === operation &&
        group.events + count <= BATCH_MAX &&
        group.rows + rows <= BATCH_MAX
      ) {
        return group;
      }
    }
    const words = operation.startsWith("lookup") ? count * 4 : count * ROW_WORDS;
    return { operation, packer: new Packer(words), waiters: [], events: 0, rows: 0 };
  }

  #send(): void {
    for (let group = this.#pending[0]; group; group = this.#pending[0]) {
      if (this.#inFlight.length > 1) return;
      if (this.#inFlight.length === 1 && group.rows < PIPELINE_EVENTS) return;
      this.#pending.shift();
      this.#inFlight.push(group);
      this.#worker ??= this.#start();
      this.#worker.ref();
      const counts = group.waiters.map((waiter) => waiter.count);
      const buffer = group.packer.take();
      this.#worker.postMessage({ operation: group.operation, buffer, counts }, [buffer]);
    }
  }

  #start(): Worker {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData: this.#init });
    worker.unref();
    worker.on("message", (reply: ReplyMessage) => this.#receive(reply));
    worker.on("error", (error) => this.#stopped(worker, error));
    worker.on("exit", () => this.#stopped(worker, undefined));
    return worker;
  }

  #releaseGuard(): void {
    this.#guard?.close();
    this.#guard = undefined;
  }

  #receive(reply: ReplyMessage): void {
    if (this.#destroyed) return;
    if (reply.ok === "ready") {
      this.#releaseGuard();
      return;
    }
    const group = this.#inFlight.shift();
    if (!group) return;
    this.#send();
    if (this.#inFlight.length === 0) this.#worker?.unref();
    if (!reply.ok) {
      for (const waiter of group.waiters) waiter.reject(revive(reply.error));
      return;
    }
    let first = 0;
    for (const [index, waiter] of group.waiters.entries()) {
      const count = reply.counts[index] ?? 0;
      waiter.resolve(reply.buffer, first, count);
      first += count;
    }
  }

  #stopped(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return;
    this.#releaseGuard();
    // The next call starts a new thread.
    this.#worker = undefined;
    this.#rejectAll(
      () =>
        new EmbeddedLedgerError(
          "ERR_EMBEDDED_STOPPED",
          `The embedded ledger's thread for ${this.#init.path} ended; repeat the request`,
          { cause },
        ),
    );
  }

  #rejectAll(reason: () => unknown): void {
    const groups = [...this.#inFlight.splice(0), ...this.#pending.splice(0)];
    for (const group of groups) {
      for (const waiter of group.waiters) waiter.reject(reason());
    }
  }
}

function revive(error: Extract<ReplyMessage, { ok: false }>["error"]): unknown {
  if (error instanceof Error) return error;
  return new EmbeddedLedgerError(error.code, error.message);
}
