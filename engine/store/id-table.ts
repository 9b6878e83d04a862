import { at, copy128, equal128 } from "../rows/words.ts";

/** Spreads a 128-bit id, which may be a counter or a digest, over 32 bits. */
export function hashId(words: Uint32Array, a: number, seed: number): number {
  let h = seed;
  for (let i = 0; i < 4; i++) {
    h = Math.imul(h ^ at(words, a + i), 0x85eb_ca6b);
    h = Math.imul(h ^ (h >>> 15), 0xc2b2_ae35);
    h ^= h >>> 13;
  }
  return h >>> 0;
}

/** An open-addressed map from 128-bit ids to non-zero 32-bit numbers, without allocation per key. */
export class IdTable {
  #keys: Uint32Array;
  #values: Int32Array;
  #mask: number;
  #size = 0;

  constructor(capacity = 1024) {
    this.#keys = new Uint32Array(capacity * 4);
    this.#values = new Int32Array(capacity);
    this.#mask = capacity - 1;
  }

  /** The value of an id, or 0. */
  get(words: Uint32Array, a: number): number {
    return this.#values[this.#find(words, a)] as number;
  }

  /** Sets the value of an id; it must not be 0. */
  set(words: Uint32Array, a: number, value: number): void {
    let index = this.#find(words, a);
    if (this.#values[index] === 0) {
      if (this.#size * 2 >= this.#mask) {
        this.#grow();
        index = this.#find(words, a);
      }
      this.#size++;
      copy128(this.#keys, index * 4, words, a);
    }
    this.#values[index] = value;
  }

  /** Forgets everything. */
  clear(): void {
    if (this.#size > 0) this.#values.fill(0);
    this.#size = 0;
  }

  #find(words: Uint32Array, a: number): number {
    let index = hashId(words, a, 0x9e37_79b9) & this.#mask;
    while (this.#values[index] !== 0 && !equal128(this.#keys, index * 4, words, a)) {
      index = (index + 1) & this.#mask;
    }
    return index;
  }

  #grow(): void {
    const keys = this.#keys;
    const values = this.#values;
    const capacity = values.length * 2;
    this.#keys = new Uint32Array(capacity * 4);
    this.#values = new Int32Array(capacity);
    this.#mask = capacity - 1;
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number;
      if (value === 0) continue;
      const index = this.#find(keys, i * 4);
      copy128(this.#keys, index * 4, keys, i * 4);
      this.#values[index] = value;
    }
  }
}
