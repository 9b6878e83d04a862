import { at, ROW_WORDS } from "../rows/words.ts";
import { IdTable } from "./id-table.ts";

/** Above this many accounts the cache starts anew: 2^18 rows are 32 MiB. */
const ACCOUNTS_MAX = 1 << 18;

/** An account that a broken chain took back: its id must be looked up again. */
const GONE = -1;

/**
 * The accounts this process has met, as packed rows, and what the running transaction changed.
 * A linked chain that breaks is undone from copies taken before a row's first change in it.
 */
export class AccountCache {
  words = new Uint32Array(256 * ROW_WORDS);
  /** Slots changed by the running transaction. */
  readonly dirty: number[] = [];
  /** Slots created by the running transaction. */
  readonly created: number[] = [];
  readonly #ids = new IdTable();
  #count = 0;
  #isDirty = new Uint8Array(256);
  #undoSlots: number[] = [];
  #undoWords = new Uint32Array(64 * ROW_WORDS);
  #chainMark = new Uint32Array(256);
  #chain = 0;
  #inChain = false;
  #chainCreated = 0;

  /** The slot of an account, or −1 if it is not in the cache. */
  find(words: Uint32Array, a: number): number {
    const value = this.#ids.get(words, a);
    return value > 0 ? value - 1 : -1;
  }

  /** Takes a free slot for the account whose id lies at `a`; the caller fills its row. */
  insert(words: Uint32Array, a: number): number {
    const slot = this.#count++;
    if (slot * ROW_WORDS >= this.words.length) this.#grow();
    this.#ids.set(words, a, slot + 1);
    this.#isDirty[slot] = 0;
    this.#chainMark[slot] = 0;
    return slot;
  }

  /** Notes that the running transaction created the account in `slot`. */
  noteCreated(slot: number): void {
    this.created.push(slot);
  }

  /** Must be called before a row is changed. */
  touch(slot: number): void {
    if (this.#isDirty[slot] === 0) {
      this.#isDirty[slot] = 1;
      this.dirty.push(slot);
    }
    if (this.#inChain && this.#chainMark[slot] !== this.#chain) {
      this.#chainMark[slot] = this.#chain;
      const at = this.#undoSlots.length * ROW_WORDS;
      if (at >= this.#undoWords.length) {
        const larger = new Uint32Array(this.#undoWords.length * 2);
        larger.set(this.#undoWords);
        this.#undoWords = larger;
      }
      this.#undoWords.set(this.words.subarray(slot * ROW_WORDS, (slot + 1) * ROW_WORDS), at);
      this.#undoSlots.push(slot);
    }
  }

  /** Starts a linked chain. */
  openChain(): void {
    this.#inChain = true;
    this.#chain++;
    this.#chainCreated = this.created.length;
    this.#undoSlots.length = 0;
  }

  /** Ends a chain whose events all succeeded. */
  keepChain(): void {
    this.#inChain = false;
  }

  /** Takes back everything that happened since `openChain`. */
  discardChain(): void {
    for (let i = 0; i < this.#undoSlots.length; i++) {
      const slot = this.#undoSlots[i] as number;
      this.words.set(
        this.#undoWords.subarray(i * ROW_WORDS, (i + 1) * ROW_WORDS),
        slot * ROW_WORDS,
      );
    }
    for (const slot of this.created.slice(this.#chainCreated)) {
      this.#ids.set(this.words, slot * ROW_WORDS, GONE);
    }
    this.created.length = this.#chainCreated;
    this.#inChain = false;
  }

  /** Starts a transaction; keeps what is cached unless there is too much of it. */
  begin(): void {
    for (const slot of this.dirty) this.#isDirty[slot] = 0;
    this.dirty.length = 0;
    this.created.length = 0;
    this.#inChain = false;
    if (this.#count > ACCOUNTS_MAX) this.clear();
  }

  /** Forgets everything: another process wrote, or a transaction was rolled back. */
  clear(): void {
    this.#ids.clear();
    this.#count = 0;
    this.dirty.length = 0;
    this.created.length = 0;
    this.#isDirty.fill(0);
    this.#chainMark.fill(0);
  }

  /** The flags of the account in a slot. */
  flags(slot: number): number {
    return at(this.words, slot * ROW_WORDS + 29) >>> 16;
  }

  #grow(): void {
    const words = new Uint32Array(this.words.length * 2);
    words.set(this.words);
    this.words = words;
    const isDirty = new Uint8Array(this.#isDirty.length * 2);
    isDirty.set(this.#isDirty);
    this.#isDirty = isDirty;
    const chainMark = new Uint32Array(this.#chainMark.length * 2);
    chainMark.set(this.#chainMark);
    this.#chainMark = chainMark;
  }
}
