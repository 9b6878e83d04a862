import { ROW_WORDS } from "../rows/words.ts";

/** Rows of 32 words that grow as they come. */
export class RowSink {
  words = new Uint32Array(64 * ROW_WORDS);
  count = 0;

  /** Room for one more row; answers its word offset. */
  next(): number {
    const o = this.count++ * ROW_WORDS;
    if (o >= this.words.length) {
      const larger = new Uint32Array(this.words.length * 2);
      larger.set(this.words);
      this.words = larger;
    }
    return o;
  }
}
