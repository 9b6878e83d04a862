import { at, ROW_WORDS, read64, TRANSFER as T } from "../rows/words.ts";
import { IdTable } from "./id-table.ts";

/**
 * The newest transfers, which are stored but not yet in every index. They are few, so they are
 * held in memory and searched there; indexes get them later, many at a time and in order, which
 * writes each page of an index once instead of once per transfer.
 */
export class TransferTail {
  words = new Uint32Array(1024 * ROW_WORDS);
  count = 0;
  readonly #ids = new IdTable(4096);

  /** Appends a row; rows come in the order of their timestamps. */
  append(words: Uint32Array, o: number): void {
    const index = this.count++;
    const to = index * ROW_WORDS;
    if (to >= this.words.length) {
      const larger = new Uint32Array(this.words.length * 2);
      larger.set(this.words);
      this.words = larger;
    }
    for (let i = 0; i < ROW_WORDS; i++) this.words[to + i] = at(words, o + i);
    this.#ids.set(this.words, to, index + 1);
  }

  /** The word offset of the transfer with an id, or −1. */
  find(words: Uint32Array, a: number): number {
    const value = this.#ids.get(words, a);
    return value === 0 ? -1 : (value - 1) * ROW_WORDS;
  }

  /** The timestamp of row `index`. */
  timestamp(index: number): bigint {
    return read64(this.words, index * ROW_WORDS + T.timestamp);
  }

  /** The index of the first row after a timestamp. */
  firstAfter(timestamp: bigint): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.timestamp(middle) > timestamp) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Forgets everything. */
  clear(): void {
    this.count = 0;
    this.#ids.clear();
  }

  /** Forgets the rows up to a timestamp: every index has them now. */
  dropThrough(timestamp: bigint): void {
    const first = this.firstAfter(timestamp);
    if (first === 0) return;
    this.words.copyWithin(0, first * ROW_WORDS, this.count * ROW_WORDS);
    this.count -= first;
    this.#ids.clear();
    for (let index = 0; index < this.count; index++) {
      this.#ids.set(this.words, index * ROW_WORDS, index + 1);
    }
  }
}
