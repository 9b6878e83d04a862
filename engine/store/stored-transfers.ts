import { bytesOf, loadBytes, ROW_WORDS } from "../rows/words.ts";
import { IdFilter } from "./id-filter.ts";
import { bigint, blob, rowBlob, type Store } from "./store.ts";
import { TRANSFER_COLUMNS } from "./transfer-columns.ts";
import type { TransferLog } from "./transfer-log.ts";
import { TransferTail } from "./transfer-tail.ts";

/** A stored row: 32 words from `at`. */
export type RowRef = { readonly words: Uint32Array; readonly at: number };

/** How far an index has come: `to` is the timestamp of the last transfer in it. */
export type IndexProgress = { readonly column: number; readonly to: bigint };

/**
 * How stored transfers are found: the newest in memory, in the tail, and the others by indexes,
 * which take the tail in late. A filter tells which epochs can hold an id. Everything here runs
 * inside a transaction of the engine's.
 */
export class StoredTransfers {
  readonly tail = new TransferTail();
  readonly #store: Store;
  readonly #filter = new IdFilter();
  /** The last timestamp of every sealed epoch. */
  readonly #epochEnds: bigint[] = [];
  /** Up to which timestamp each column's index has every transfer, in the columns' order. */
  readonly #indexedTo: bigint[] = TRANSFER_COLUMNS.map(() => 0n);
  /** Up to here the filter and the tail know every transfer. */
  #known = 0n;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The ends of the sealed epochs, oldest first; the running epoch has none. */
  get epochEnds(): readonly bigint[] {
    return this.#epochEnds;
  }

  /** Up to which timestamp the index of a column has every transfer. */
  indexedTo(column: string): bigint {
    return this.#indexedTo[TRANSFER_COLUMNS.findIndex(({ name }) => name === column)] ?? 0n;
  }

  /** A transfer by id; `"failed"` if its id was burnt. After `catchUp`. */
  find(words: Uint32Array, a: number): RowRef | "failed" | undefined {
    const recent = this.tail.find(words, a);
    if (recent >= 0) return { words: this.tail.words, at: recent };
    let found: RowRef | "failed" | undefined;
    this.#filter.search(words, a, (epoch) => {
      const id = bytesOf(words, a, 4);
      const stored = this.#store.transferById.get(epoch, id);
      if (stored) {
        const row = new Uint32Array(ROW_WORDS);
        loadBytes(row, 0, rowBlob(stored["row"]));
        found = { words: row, at: 0 };
      } else if (this.#store.failedById.get(epoch, id)) {
        found = "failed";
      }
      return found !== undefined;
    });
    return found;
  }

  /**
   * Reads the transfers that other processes stored up to `last`, for the filter and the tail. Not
   * part of every refresh: whoever only asks for the time, or for pages in its order, never needs
   * them, and should not hold the file meanwhile.
   */
  catchUp(last: bigint): void {
    if (this.#known >= last) return;
    for (const sealed of this.#store.sealedEpochs.iterate(this.#epochEnds.length)) {
      this.#filter.load(Number(bigint(sealed["epoch"])), blob(sealed["filter"]));
      this.#epochEnds.push(bigint(sealed["last_timestamp"]));
    }
    const sealedTo = this.#epochEnds.at(-1) ?? 0n;
    const filtered = this.#known > sealedTo ? this.#known : sealedTo;
    // The tail may reach back into a sealed epoch that an index does not have yet.
    const indexed = this.#indexedByAll();
    const tailFrom = this.#known > indexed ? this.#known : indexed;
    const row = new Uint32Array(ROW_WORDS);
    for (const stored of this.#store.transfersAfter.iterate(min(filtered, tailFrom))) {
      loadBytes(row, 0, rowBlob(stored["row"]));
      const timestamp = bigint(stored["timestamp"]);
      if (timestamp > filtered) this.#filter.add(Number(bigint(stored["epoch"])), row, 0);
      if (timestamp > tailFrom) this.tail.append(row, 0);
    }
    for (const failed of this.#store.failedAfter.iterate(filtered)) {
      loadBytes(row, 0, blob(failed["id"]));
      this.#filter.add(Number(bigint(failed["epoch"])), row, 0);
    }
    this.#known = last;
  }

  /** An id, stored or burnt, of an epoch. */
  addId(epoch: number, words: Uint32Array, a: number): void {
    this.#filter.add(epoch, words, a);
  }

  /** Ends an epoch at the timestamp of its last event. Only who knows all its ids may. */
  sealEpoch(epoch: number, last: bigint): void {
    this.#store.sealEpoch.run(epoch, last, this.#filter.save(epoch));
    this.#epochEnds.push(last);
  }

  /** After a commit that led from `last` to `end`: what it stored is the newest part of the tail. */
  remember(log: TransferLog, last: bigint, end: bigint): void {
    // Who has not caught up has looked for no id, and stored none.
    if (this.#known < last) return;
    for (let index = 0; index < log.count; index++) {
      this.tail.append(log.rows, index * ROW_WORDS);
    }
    this.#known = end;
  }

  /** After a rollback: what is known may hold what was taken back. */
  forget(): void {
    this.#known = 0n;
    this.#epochEnds.length = 0;
    this.tail.clear();
  }

  /** How far the indexes have come, as other processes may have written them. */
  readProgress(): void {
    for (const row of this.#store.readProgress.iterate()) {
      const column = TRANSFER_COLUMNS.findIndex(({ name }) => name === row["name"]);
      this.#indexedTo[column] = bigint(row["indexed_to"]);
    }
    this.tail.dropThrough(this.#indexedByAll());
  }

  /** How many transfers of the tail the index that is furthest behind lacks. */
  notIndexed(): number {
    return this.tail.count - this.tail.firstAfter(this.#indexedByAll());
  }

  /** Brings the tail into the index that is furthest behind. `noteIndexed` once it is committed. */
  writeIndex(): IndexProgress {
    const from = this.#indexedByAll();
    const column = this.#indexedTo.indexOf(from);
    // Another process may have done the work in the meantime.
    const to = this.tail.count > 0 ? this.tail.timestamp(this.tail.count - 1) : from;
    if (to > from) {
      this.#store.indexRange[column]?.run(from, to);
      this.#store.writeProgress.run(to, TRANSFER_COLUMNS[column]?.name ?? "");
    }
    return { column, to };
  }

  noteIndexed({ column, to }: IndexProgress): void {
    this.#indexedTo[column] = to;
    this.tail.dropThrough(this.#indexedByAll());
  }

  #indexedByAll(): bigint {
    return this.#indexedTo.reduce(min);
  }
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
