import { BALANCES_WORDS, bytesOf, ROW_WORDS } from "../rows/words.ts";
import { IdTable } from "./id-table.ts";
import { packBalances } from "./packed-balances.ts";

const GONE = -1;
const FAILED = -2;

/** What is known of a pending transfer during a transaction. */
export type PendingState = { status: number; expiresAt: bigint; stored: boolean };

/**
 * The transfers, failed ids and pending states that the running transaction adds. They are written
 * to SQLite in one go at its end, so that undoing a linked chain never touches the database.
 */
export class TransferLog {
  rows = new Uint32Array(256 * ROW_WORDS);
  count = 0;
  /** Ids that failed for good, 16 bytes each, with the failure's timestamp. */
  readonly failed: { id: Uint8Array; timestamp: bigint }[] = [];
  readonly pendings = new Map<bigint, PendingState>();
  #balances = new Uint32Array(256 * 2 * BALANCES_WORDS);
  #timestamps = new BigInt64Array(256);
  #history = new Uint8Array(256);
  readonly #ids = new IdTable();
  #inChain = false;
  #chainStart = 0;
  readonly #pendingUndo: { timestamp: bigint; before: PendingState | undefined }[] = [];

  /** The index of a transfer of this transaction, −1 if there is none, −2 if the id has failed. */
  find(words: Uint32Array, a: number): number {
    const value = this.#ids.get(words, a);
    if (value > 0) return value - 1;
    return value === FAILED ? -2 : -1;
  }

  /** Appends a transfer; answers the word offset at which the caller writes its row. */
  append(words: Uint32Array, idAt: number, timestamp: bigint): number {
    const index = this.count++;
    if (index * ROW_WORDS >= this.rows.length) this.#grow();
    this.#ids.set(words, idAt, index + 1);
    this.#timestamps[index] = timestamp;
    this.#history[index] = 0;
    return index * ROW_WORDS;
  }

  /** Notes the balances that the debited (side 0) or credited (1) account has after a transfer. */
  noteBalances(rowAt: number, side: 0 | 1, words: Uint32Array, balancesAt: number): void {
    const index = rowAt / ROW_WORDS;
    this.#history[index] = (this.#history[index] as number) | (1 << side);
    this.#balances.set(
      words.subarray(balancesAt, balancesAt + BALANCES_WORDS),
      (index * 2 + side) * BALANCES_WORDS,
    );
  }

  timestamp(index: number): bigint {
    return this.#timestamps[index] as bigint;
  }

  /** The balances noted for a side, packed, or null if that account keeps no history. */
  balances(index: number, side: 0 | 1): Uint8Array | null {
    if (((this.#history[index] as number) & (1 << side)) === 0) return null;
    return packBalances(this.#balances, (index * 2 + side) * BALANCES_WORDS);
  }

  /** Burns an id. Only called outside a chain, or after the chain was taken back. */
  fail(words: Uint32Array, idAt: number, timestamp: bigint): void {
    this.#ids.set(words, idAt, FAILED);
    this.failed.push({ id: bytesOf(words, idAt, 4).slice(), timestamp });
  }

  /** Sets the state of a pending transfer. */
  setPending(timestamp: bigint, state: PendingState): void {
    if (this.#inChain) {
      this.#pendingUndo.push({ timestamp, before: this.pendings.get(timestamp) });
    }
    this.pendings.set(timestamp, state);
  }

  openChain(): void {
    this.#inChain = true;
    this.#chainStart = this.count;
    this.#pendingUndo.length = 0;
  }

  keepChain(): void {
    this.#inChain = false;
  }

  discardChain(): void {
    for (let index = this.#chainStart; index < this.count; index++) {
      this.#ids.set(this.rows, index * ROW_WORDS, GONE);
    }
    this.count = this.#chainStart;
    for (let undo = this.#pendingUndo.pop(); undo; undo = this.#pendingUndo.pop()) {
      if (undo.before) this.pendings.set(undo.timestamp, undo.before);
      else this.pendings.delete(undo.timestamp);
    }
    this.#inChain = false;
  }

  /** Starts a transaction with nothing in it. */
  begin(): void {
    this.count = 0;
    this.failed.length = 0;
    this.pendings.clear();
    this.#pendingUndo.length = 0;
    this.#ids.clear();
    this.#inChain = false;
  }

  #grow(): void {
    const capacity = (this.rows.length / ROW_WORDS) * 2;
    const rows = new Uint32Array(capacity * ROW_WORDS);
    rows.set(this.rows);
    this.rows = rows;
    const balances = new Uint32Array(capacity * 2 * BALANCES_WORDS);
    balances.set(this.#balances);
    this.#balances = balances;
    const timestamps = new BigInt64Array(capacity);
    timestamps.set(this.#timestamps);
    this.#timestamps = timestamps;
    const history = new Uint8Array(capacity);
    history.set(this.#history);
    this.#history = history;
  }
}
