import { at, BALANCES_WORDS } from "../rows/words.ts";

/** Most bytes of packed balances: a mask and 16 words. */
const PACKED_MAX = 2 + BALANCES_WORDS * 4;

const scratch = new Uint8Array(PACKED_MAX + 8);

/**
 * Four 128-bit balances as a 16-bit mask of the words that are not zero, and those words. Real
 * balances have two or three such words, so a stored row is a quarter as long and a transaction
 * writes a third fewer pages. `extra` bytes are left in front for the caller.
 */
export function packBalances(words: Uint32Array, a: number, extra = 0): Uint8Array {
  let end = extra + 2;
  let mask = 0;
  for (let i = 0; i < BALANCES_WORDS; i++) {
    const word = at(words, a + i);
    if (word === 0) continue;
    mask |= 1 << i;
    scratch[end] = word;
    scratch[end + 1] = word >>> 8;
    scratch[end + 2] = word >>> 16;
    scratch[end + 3] = word >>> 24;
    end += 4;
  }
  scratch[extra] = mask;
  scratch[extra + 1] = mask >>> 8;
  return scratch.slice(0, end);
}

/** Unpacks balances, after `extra` bytes that belong to the caller, to `a`. */
export function unpackBalances(bytes: Uint8Array, extra: number, words: Uint32Array, a: number) {
  const mask = byte(bytes, extra) | (byte(bytes, extra + 1) << 8);
  let from = extra + 2;
  for (let i = 0; i < BALANCES_WORDS; i++) {
    if (((mask >>> i) & 1) === 0) {
      words[a + i] = 0;
      continue;
    }
    words[a + i] =
      byte(bytes, from) |
      (byte(bytes, from + 1) << 8) |
      (byte(bytes, from + 2) << 16) |
      (byte(bytes, from + 3) << 24);
    from += 4;
  }
  if (from !== bytes.byteLength) throw new Error("stored balances are damaged");
}

function byte(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0;
}
