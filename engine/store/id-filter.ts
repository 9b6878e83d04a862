import { hashId } from "./id-table.ts";

const BITS_LOG2 = 20;
const BITS = 1 << BITS_LOG2;
const MASK = BITS - 1;
const PROBES = 6;

/** Bytes of one epoch's filter as it is stored. */
export const FILTER_BYTES = BITS / 8;

/**
 * Bloom filters of the transfer ids of all epochs, sliced by bit: one word holds the same bit of
 * 32 epochs, so that one id is looked for in 32 epochs at once. Without it, the question "is this
 * id new?" would cost one index seek per epoch.
 */
export class IdFilter {
  readonly #groups: Uint32Array[] = [];

  /** Notes that an epoch holds an id. */
  add(epoch: number, words: Uint32Array, a: number): void {
    const group = this.#group(epoch >>> 5);
    const bit = 1 << (epoch & 31);
    let position = hashId(words, a, 0x2545_f491);
    const step = hashId(words, a, 0x1b87_3593) | 1;
    for (let i = 0; i < PROBES; i++) {
      const index = position & MASK;
      group[index] = (group[index] as number) | bit;
      position = (position + step) >>> 0;
    }
  }

  /** Calls `probe` for every epoch that may hold the id, newest first, until it answers true. */
  search(words: Uint32Array, a: number, probe: (epoch: number) => boolean): boolean {
    const start = hashId(words, a, 0x2545_f491);
    const step = hashId(words, a, 0x1b87_3593) | 1;
    for (let g = this.#groups.length - 1; g >= 0; g--) {
      const group = this.#groups[g] as Uint32Array;
      let candidates = -1;
      let position = start;
      for (let i = 0; i < PROBES && candidates !== 0; i++) {
        candidates &= group[position & MASK] as number;
        position = (position + step) >>> 0;
      }
      while (candidates !== 0) {
        const bit = 31 - Math.clz32(candidates);
        candidates &= ~(1 << bit);
        if (probe(g * 32 + bit)) return true;
      }
    }
    return false;
  }

  /** One epoch's filter as bytes, to be stored when the epoch is sealed. */
  save(epoch: number): Uint8Array {
    const group = this.#group(epoch >>> 5);
    const shift = epoch & 31;
    const bytes = new Uint8Array(FILTER_BYTES);
    for (let i = 0; i < BITS; i++) {
      if (((group[i] as number) >>> shift) & 1) {
        bytes[i >>> 3] = (bytes[i >>> 3] as number) | (1 << (i & 7));
      }
    }
    return bytes;
  }

  /** Takes over a sealed epoch's stored filter. */
  load(epoch: number, bytes: Uint8Array): void {
    const group = this.#group(epoch >>> 5);
    const bit = 1 << (epoch & 31);
    for (let byte = 0; byte < FILTER_BYTES; byte++) {
      let set = bytes[byte] as number;
      while (set !== 0) {
        const lowest = 31 - Math.clz32(set & -set);
        set &= set - 1;
        const index = byte * 8 + lowest;
        group[index] = (group[index] as number) | bit;
      }
    }
  }

  #group(index: number): Uint32Array {
    while (this.#groups.length <= index) this.#groups.push(new Uint32Array(BITS));
    return this.#groups[index] as Uint32Array;
  }
}
