import { ACCOUNT as A, at } from "../rows/words.ts";
import { packBalances, unpackBalances } from "./packed-balances.ts";

/** The flags come first: of all that is immutable in an account, only `closed` is not. */
const FLAGS_BYTES = 2;

/** What changes of the account at `o` as it is stored. */
export function packState(words: Uint32Array, o: number): Uint8Array {
  const bytes = packBalances(words, o + A.debitsPending, FLAGS_BYTES);
  const flags = at(words, o + A.codeFlags) >>> 16;
  bytes[0] = flags;
  bytes[1] = flags >>> 8;
  return bytes;
}

/** Puts an account's stored state over its immutable row. */
export function applyState(words: Uint32Array, o: number, state: Uint8Array): void {
  unpackBalances(state, FLAGS_BYTES, words, o + A.debitsPending);
  const code = at(words, o + A.codeFlags) & 0xffff;
  const flags = (state[0] ?? 0) | ((state[1] ?? 0) << 8);
  words[o + A.codeFlags] = code | (flags << 16);
}
