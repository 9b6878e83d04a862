import { statSync } from "node:fs";
import type { DatabaseSync } from "node:sqlite";
import { type Clock, Engine } from "../engine.ts";
import { EmbeddedLedgerError, type PlainError, plainError, typedError } from "../errors.ts";
import { Queries } from "../read/queries.ts";
import { RowSink } from "../read/row-sink.ts";
import { ROW_WORDS } from "../rows/words.ts";
import { checkIntegrity, openDatabase } from "../store/database.ts";
import { COPY_LOG, createLogCopier } from "../store/log-copier.ts";
import { TRANSFER_COLUMNS } from "../store/transfer-columns.ts";

/** What a worker thread is started with. */
export type WorkerInit = {
  readonly path: string;
  readonly clusterId: bigint;
  readonly integrityCheck: "auto" | "none" | "quick" | "full";
  readonly cacheMb?: number | undefined;
  /** For tests: a shared 64-bit word that holds the time in nanoseconds, instead of the clock. */
  readonly clock?: SharedArrayBuffer | undefined;
  readonly epochEvents?: number | undefined;
  readonly indexEvents?: number | undefined;
};

export type Operation =
  | "createAccounts"
  | "createTransfers"
  | "lookupAccounts"
  | "lookupTransfers"
  | "getAccountTransfers"
  | "getAccountBalances"
  | "queryAccounts"
  | "queryTransfers";

/** Calls of one kind that share a transaction: `counts[i]` events belong to call `i`. */
export type EngineRequest = {
  readonly operation: Operation;
  readonly buffer: ArrayBuffer;
  readonly counts: readonly number[];
};

/** `counts[i]` results belong to call `i`. */
export type EngineReply =
  | { readonly ok: true; readonly buffer: ArrayBuffer; readonly counts: readonly number[] }
  | { readonly ok: false; readonly error: PlainError | Error };

export type RequestMessage = EngineRequest | { readonly operation: "close" };

export type ReplyMessage =
  /** The thread has opened the file, or has failed to and will say so in its first answer. */
  { readonly ok: "ready" } | EngineReply;

/** Above this size the check at open is left to the caller: it reads the whole file. */
const AUTO_CHECK_BYTES = 64 * 1024 * 1024;

/**
 * An index takes the tail in when it lacks so many transfers. Many at once are cheaper, but the next
 * request waits for them: 10 to 15 ms, or 25 to 40 for the larger number.
 */
const INDEX_EVENTS = { few: 1 << 12, many: 1 << 14 };

/** From so many events on, whoever sent a request waits for more than an index. */
const MANY_EVENTS = 1 << 9;

/** So many changed rows or transactions after the last one, the log is copied into the file. */
const CHECKPOINT_EVENTS = 1 << 15;
const CHECKPOINT_TRANSACTIONS = 1 << 10;

/** The engine behind a message port; separate from the port so that it can be tested alone. */
export type Worker = {
  /** Opens the file now. A failure is kept for the first request, which tries again. */
  open(): void;
  answer(request: EngineRequest): EngineReply;
  /** Housekeeping that the caller need not wait for. */
  afterReply(): void;
  close(): void;
};

/** Opens the file on first use and answers requests. */
export function startWorker(init: WorkerInit): Worker {
  let open: { db: DatabaseSync; engine: Engine; queries: Queries } | undefined;
  let events = 0;
  let transactions = 0;
  let indexed = 0;
  /** Events of the last request that wrote. */
  let lastEvents = 0;
  const copier = createLogCopier(init.path);

  const opened = () => {
    if (open) return open;
    const db = openDatabase(init.path, init.clusterId, init.cacheMb);
    try {
      checkAtOpen(db, init);
    } catch (error) {
      db.close();
      throw error;
    }
    const engine = new Engine(db, {
      clock: clockOf(init),
      ...(init.epochEvents === undefined ? {} : { epochEvents: init.epochEvents }),
    });
    open = { db, engine, queries: new Queries(engine) };
    return open;
  };

  return {
    open() {
      try {
        opened();
      } catch {
        // The first request meets the same failure and answers with it.
      }
    },
    answer(request) {
      try {
        const { engine, queries } = opened();
        const { operation, buffer, counts } = request;
        const input = new Uint32Array(buffer);
        if (operation === "createAccounts" || operation === "createTransfers") {
          const kind = operation === "createAccounts" ? "account" : "transfer";
          const results = engine.create(kind, input, counts);
          lastEvents = input.length / ROW_WORDS;
          events += lastEvents;
          transactions++;
          return { ok: true, buffer: results.buffer as ArrayBuffer, counts };
        }
        return engine.read(() => answerRead(queries, operation, input, counts));
      } catch (error) {
        return { ok: false, error: crossingError(error, init.path) };
      }
    },
    afterReply() {
      try {
        // The indexes take turns, one at a time: often enough to keep the tail short, seldom enough
        // to meet few requests.
        const size = lastEvents >= MANY_EVENTS ? INDEX_EVENTS.many : INDEX_EVENTS.few;
        const indexEvents = init.indexEvents ?? size;
        const eventsPerTurn = Math.ceil(indexEvents / TRANSFER_COLUMNS.length);
        for (; events - indexed >= eventsPerTurn; indexed += eventsPerTurn) {
          open?.engine.indexTail(indexEvents);
        }
        // What was written while the log was copied is little; only when it is copied, too, does the
        // log start anew.
        if (copier.hasEnded()) open?.db.exec(COPY_LOG);
        if (events < CHECKPOINT_EVENTS && transactions < CHECKPOINT_TRANSACTIONS) return;
        events = 0;
        transactions = 0;
        indexed = 0;
        copier.start();
      } catch (error) {
        // Busy or out of space: the tail and the log keep everything, the next time tries again.
        if (!(typedError(error, init.path) instanceof EmbeddedLedgerError)) throw error;
      }
    },
    close() {
      copier.close();
      open?.db.close();
      open = undefined;
    },
  };
}

function answerRead(
  queries: Queries,
  operation: Exclude<Operation, "createAccounts" | "createTransfers">,
  input: Uint32Array,
  counts: readonly number[],
): EngineReply {
  const sink = new RowSink();
  const replyCounts: number[] = [];
  let first = 0;
  for (const count of counts) {
    const before = sink.count;
    if (operation === "lookupAccounts") queries.lookupAccounts(input, first, count, sink);
    else if (operation === "lookupTransfers") queries.lookupTransfers(input, first, count, sink);
    else answerQuery(queries, operation, input, first * ROW_WORDS, sink);
    first += count;
    replyCounts.push(sink.count - before);
  }
  const buffer = sink.words.buffer.slice(0, sink.count * ROW_WORDS * 4) as ArrayBuffer;
  return { ok: true, buffer, counts: replyCounts };
}

function answerQuery(
  queries: Queries,
  operation: "getAccountTransfers" | "getAccountBalances" | "queryAccounts" | "queryTransfers",
  input: Uint32Array,
  f: number,
  sink: RowSink,
): void {
  switch (operation) {
    case "getAccountTransfers":
      queries.accountTransfers(input, f, sink);
      break;
    case "getAccountBalances":
      queries.accountBalances(input, f, sink);
      break;
    case "queryAccounts":
      queries.queryAccounts(input, f, sink);
      break;
    case "queryTransfers":
      queries.queryTransfers(input, f, sink);
      break;
  }
}

function checkAtOpen(db: DatabaseSync, init: WorkerInit): void {
  let depth = init.integrityCheck;
  if (depth === "auto") depth = statSync(init.path).size <= AUTO_CHECK_BYTES ? "quick" : "none";
  if (depth !== "none") checkIntegrity(db, init.path, depth);
}

function clockOf(init: WorkerInit): Clock {
  if (!init.clock) return () => BigInt(Date.now()) * 1_000_000n;
  const shared = new BigInt64Array(init.clock);
  return () => Atomics.load(shared, 0);
}

function crossingError(error: unknown, path: string): PlainError | Error {
  const typed = typedError(error, path);
  return typed instanceof Error ? plainError(typed) : new Error(String(typed));
}
