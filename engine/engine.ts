import type { DatabaseSync } from "node:sqlite";
import { createAccount } from "./execute/create-account.ts";
import { createTransfer } from "./execute/create-transfer.ts";
import { type EventKind, executeBatch } from "./execute/execute-batch.ts";
import type { Ledger } from "./execute/ledger.ts";
import { releasePending } from "./execute/post-or-void.ts";
import { PENDING } from "./execute/status.ts";
import {
  ACCOUNT as A,
  bytesOf,
  loadBytes,
  RESULT_WORDS,
  ROW_WORDS,
  read64,
  TRANSFER as T,
  TIMESTAMP_MAX,
} from "./rows/words.ts";
import { AccountCache } from "./store/account-cache.ts";
import { applyState, packState } from "./store/account-state.ts";
import { bigint, blob, createStore, type Meta, rowBlob, type Store } from "./store/store.ts";
import { type RowRef, StoredTransfers } from "./store/stored-transfers.ts";
import { type PendingState, TransferLog } from "./store/transfer-log.ts";

/** Nanoseconds since 1970, from the machine's clock or a test's. */
export type Clock = () => bigint;

/**
 * The transfers of a ledger are numbered into epochs of about this many. Every index begins with
 * the epoch, so that inserting costs what it costs in an index of one epoch, however many
 * transfers are stored: the pages it touches stay few and hot.
 */
export const EPOCH_EVENTS = 1 << 16;

export type EngineOptions = {
  readonly clock: Clock;
  /** Events per epoch; tests make it small. */
  readonly epochEvents?: number;
};

/** The state machine on one open database. One thread owns it. */
export class Engine implements Ledger {
  readonly accounts = new AccountCache();
  readonly log = new TransferLog();
  readonly store: Store;
  readonly stored: StoredTransfers;
  existing = 0n;
  readonly #clock: Clock;
  readonly #epochEvents: number;
  #dataVersion: unknown = undefined;
  #meta: Meta = { lastTimestamp: 0n, epoch: 0, epochEvents: 0 };
  /** No pending transfer expires before this; undefined if none ever does. */
  #nextExpiry: bigint | undefined;
  /** Whether `#nextExpiry` has passed and must be read anew. */
  #expiryStale = false;

  constructor(db: DatabaseSync, options: EngineOptions) {
    this.store = createStore(db);
    this.stored = new StoredTransfers(this.store);
    this.#clock = options.clock;
    this.#epochEvents = options.epochEvents ?? EPOCH_EVENTS;
  }

  /**
   * Applies the calls that waited together in one durable transaction: `counts` cuts `events` into
   * calls. Answers one result per event.
   */
  create(kind: EventKind, events: Uint32Array, counts: readonly number[]): Uint32Array {
    const rule = kind === "account" ? createAccount : createTransfer;
    const results = new Uint32Array((events.length / ROW_WORDS) * RESULT_WORDS);
    if (results.length === 0) return results;
    this.#write((base) => {
      let first = 0;
      let last = base;
      for (const count of counts) {
        executeBatch(this, kind, rule, events, first, count, last, results);
        first += count;
        last += BigInt(count);
      }
      return last;
    });
    return results;
  }

  /** Runs `work` on one snapshot in which everything due has expired. */
  read<R>(work: () => R): R {
    for (;;) {
      this.store.beginRead.run();
      try {
        this.#refresh();
        if (!this.#expiryDue(this.#now())) {
          this.accounts.begin();
          this.log.begin();
          const result = work();
          this.store.commit.run();
          return result;
        }
        this.store.commit.run();
      } catch (error) {
        this.#rollback();
        throw error;
      }
      this.#write((base) => base);
    }
  }

  findAccount(words: Uint32Array, a: number): number {
    const slot = this.accounts.find(words, a);
    if (slot >= 0) return slot;
    const stored = this.store.accountById.get(bytesOf(words, a, 4));
    if (!stored) return -1;
    const loaded = this.accounts.insert(words, a);
    const target = this.accounts.words;
    const o = loaded * ROW_WORDS;
    loadBytes(target, o, rowBlob(stored["row"]));
    applyState(target, o, blob(stored["state"]));
    return loaded;
  }

  findTransfer(words: Uint32Array, a: number): RowRef | "failed" | undefined {
    const index = this.log.find(words, a);
    if (index >= 0) return { words: this.log.rows, at: index * ROW_WORDS };
    if (index === -2) return "failed";
    this.catchUp();
    return this.stored.find(words, a);
  }

  pendingState(timestamp: bigint): PendingState {
    const known = this.log.pendings.get(timestamp);
    if (known) return known;
    const stored = this.store.pendingByTimestamp.get(timestamp);
    if (!stored) throw new Error("a stored pending transfer has no state");
    return {
      status: Number(bigint(stored["status"])),
      expiresAt: bigint(stored["expires_at"]),
      stored: true,
    };
  }

  /** One write transaction. `work` gets the last timestamp used and answers the new one. */
  #write(work: (base: bigint) => bigint): void {
    try {
      this.store.begin.run();
      this.#refresh();
      this.accounts.begin();
      this.log.begin();
      const last = this.#meta.lastTimestamp;
      const now = this.#now();
      const base = now > last ? now : last + 1n;
      const expired = this.#expire(base);
      const end = work(base + expired);
      if (end > TIMESTAMP_MAX) throw new Error("the clock has passed the last timestamp");
      const meta = this.#flush(end);
      this.store.commit.run();
      this.#meta = meta;
      this.stored.remember(this.log, last, end);
    } catch (error) {
      this.#rollback();
      throw error;
    }
    if (this.#expiryStale) this.#loadNextExpiry();
  }

  #now(): bigint {
    const now = this.#clock();
    return now > this.#meta.lastTimestamp ? now : this.#meta.lastTimestamp;
  }

  #rollback(): void {
    if (this.store.db.isTransaction) this.store.db.exec("ROLLBACK");
    // What is cached may hold what was just taken back: read everything anew.
    this.#dataVersion = undefined;
    this.stored.forget();
    this.store.insertTransfers.clear();
    this.store.writeStates.clear();
  }

  /** Catches up with what other processes wrote. Runs inside a transaction. */
  #refresh(): void {
    const version = this.store.dataVersion.get()?.["data_version"];
    if (version === this.#dataVersion) return;
    this.accounts.clear();
    const meta = this.store.readMeta.get();
    if (!meta) throw new Error("the ledger's meta row is missing");
    this.#meta = {
      lastTimestamp: bigint(meta["last_timestamp"]),
      epoch: Number(bigint(meta["epoch"])),
      epochEvents: Number(bigint(meta["epoch_events"])),
    };
    this.stored.readProgress();
    this.#loadNextExpiry();
    this.#dataVersion = version;
  }

  /** Has `stored` know what other processes stored. Inside a transaction, before it is searched. */
  catchUp(): void {
    this.stored.catchUp(this.#meta.lastTimestamp);
  }

  /**
   * Housekeeping: brings the tail into the index that is furthest behind, if that lacks at least
   * `events` transfers. One index at a time keeps each pause short.
   */
  indexTail(events: number): void {
    if (this.stored.notIndexed() < events) return;
    try {
      this.store.begin.run();
      this.#refresh();
      this.catchUp();
      const indexed = this.stored.writeIndex();
      this.store.commit.run();
      this.stored.noteIndexed(indexed);
    } catch (error) {
      this.#rollback();
      throw error;
    }
  }

  #loadNextExpiry(): void {
    const next = this.store.nextExpiry.get();
    this.#nextExpiry = next ? bigint(next["expires_at"]) : undefined;
    this.#expiryStale = false;
  }

  #expiryDue(time: bigint): boolean {
    return this.#nextExpiry !== undefined && this.#nextExpiry <= time;
  }

  /** Expires what is due; answers how many timestamps that took. */
  #expire(time: bigint): bigint {
    if (!this.#expiryDue(time)) return 0n;
    this.#expiryStale = true;
    let expired = 0n;
    const row = new Uint32Array(ROW_WORDS);
    for (const due of this.store.dueExpiries.all(time)) {
      const timestamp = bigint(due["timestamp"]);
      const stored = this.store.transferByTimestamp.get(timestamp);
      loadBytes(row, 0, rowBlob(stored?.["row"]));
      const debit = this.findAccount(row, T.debitAccountId);
      const credit = this.findAccount(row, T.creditAccountId);
      if (debit < 0 || credit < 0) throw new Error("a stored transfer has lost an account");
      releasePending(this, row, 0, debit, credit, true);
      this.log.setPending(timestamp, { status: PENDING.expired, expiresAt: 0n, stored: true });
      expired++;
    }
    return expired;
  }

  /** Writes the transaction's changes; answers the new meta row. */
  #flush(lastTimestamp: bigint): Meta {
    const { store, log } = this;
    const { epoch } = this.#meta;
    for (let index = 0; index < log.count; index++) {
      const o = index * ROW_WORDS;
      store.insertTransfers.add(
        log.timestamp(index),
        epoch,
        bytesOf(log.rows, o, ROW_WORDS),
        log.balances(index, 0),
        log.balances(index, 1),
      );
      this.stored.addId(epoch, log.rows, o);
    }
    store.insertTransfers.flush();
    this.#flushAccounts();
    this.#flushPendings();
    const failedId = new Uint32Array(4);
    for (const { id, timestamp } of log.failed) {
      store.insertFailed.run(timestamp, epoch, id);
      loadBytes(failedId, 0, id);
      this.stored.addId(epoch, failedId, 0);
    }
    const stored = log.count + log.failed.length;
    const epochEvents = this.#meta.epochEvents + stored;
    const running = { lastTimestamp, epoch, epochEvents };
    // Only who has stored something has the whole filter.
    const meta = stored > 0 ? this.#sealIfFull(running) : running;
    store.writeMeta.run(meta.lastTimestamp, meta.epoch, meta.epochEvents);
    return meta;
  }

  #sealIfFull(meta: Meta): Meta {
    if (meta.epochEvents < this.#epochEvents) return meta;
    this.stored.sealEpoch(meta.epoch, meta.lastTimestamp);
    return { lastTimestamp: meta.lastTimestamp, epoch: meta.epoch + 1, epochEvents: 0 };
  }

  #flushAccounts(): void {
    const { store, accounts } = this;
    const { words } = accounts;
    for (const slot of accounts.created) {
      const o = slot * ROW_WORDS;
      const timestamp = read64(words, o + A.timestamp);
      store.insertAccount.run(timestamp, bytesOf(words, o, ROW_WORDS));
      store.writeStates.add(timestamp, packState(words, o));
    }
    for (const slot of accounts.dirty) {
      const o = slot * ROW_WORDS;
      store.writeStates.add(read64(words, o + A.timestamp), packState(words, o));
    }
    store.writeStates.flush();
  }

  #flushPendings(): void {
    for (const [timestamp, state] of this.log.pendings) {
      if (state.stored) {
        this.store.updatePending.run(state.status, timestamp);
      } else {
        this.store.insertPending.run(timestamp, state.status, state.expiresAt);
        this.#noteExpiry(state);
      }
    }
  }

  #noteExpiry(state: PendingState): void {
    if (state.status !== PENDING.pending || state.expiresAt === 0n) return;
    if (this.#nextExpiry === undefined || state.expiresAt < this.#nextExpiry) {
      this.#nextExpiry = state.expiresAt;
    }
  }
}
