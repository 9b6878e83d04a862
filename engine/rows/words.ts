/**
 * TigerBeetle's 128-byte rows as 32 little-endian 32-bit words. The engine computes on them in
 * place: no BigInt is allocated on the hot path, and a row goes to SQLite and to the caller's
 * thread as the bytes it already is.
 */
export const ROW_WORDS = 32;
export const ROW_BYTES = 128;

/** Timestamps have 63 bits; the 64th marks deletion in TigerBeetle. */
export const TIMESTAMP_MAX = (1n << 63n) - 1n;

/** Word offsets of a transfer's fields. `code` is the low, `flags` the high half of one word. */
export const TRANSFER = {
  id: 0,
  debitAccountId: 4,
  creditAccountId: 8,
  amount: 12,
  pendingId: 16,
  userData128: 20,
  userData64: 24,
  userData32: 26,
  timeout: 27,
  ledger: 28,
  codeFlags: 29,
  timestamp: 30,
} as const;

/** Word offsets of an account's fields; the immutable ones lie where a transfer has its own. */
export const ACCOUNT = {
  id: 0,
  debitsPending: 4,
  debitsPosted: 8,
  creditsPending: 12,
  creditsPosted: 16,
  userData128: 20,
  userData64: 24,
  userData32: 26,
  reserved: 27,
  ledger: 28,
  codeFlags: 29,
  timestamp: 30,
} as const;

/** The four balances of an account, in the order of its row. */
export const BALANCES_WORDS = 16;

/** Word offsets of a filter as it crosses between threads; both kinds share one layout. */
export const FILTER = {
  accountId: 0,
  userData128: 4,
  userData64: 8,
  userData32: 10,
  code: 11,
  timestampMin: 12,
  timestampMax: 14,
  limit: 16,
  flags: 17,
  ledger: 18,
} as const;

/** Word offset of the timestamp in a packed account balance. */
export const BALANCE_TIMESTAMP = BALANCES_WORDS;

/** Words of one result: the timestamp, the status, a reserved word. */
export const RESULT_WORDS = 4;

const U32 = 0x1_0000_0000;

/** Reads one word. The caller knows that the index is inside the array. */
export function at(words: Uint32Array, index: number): number {
  return words[index] as number;
}

/** Whether the u128 at `a` is zero. */
export function isZero128(words: Uint32Array, a: number): boolean {
  return (at(words, a) | at(words, a + 1) | at(words, a + 2) | at(words, a + 3)) === 0;
}

/** Whether the u128 at `a` is 2^128 − 1. */
export function isMax128(words: Uint32Array, a: number): boolean {
  return (at(words, a) & at(words, a + 1) & at(words, a + 2) & at(words, a + 3)) === -1;
}

/** Whether two u128 are equal. */
export function equal128(x: Uint32Array, a: number, y: Uint32Array, b: number): boolean {
  return (
    at(x, a) === at(y, b) &&
    at(x, a + 1) === at(y, b + 1) &&
    at(x, a + 2) === at(y, b + 2) &&
    at(x, a + 3) === at(y, b + 3)
  );
}

/** Whether two u64 are equal. */
export function equal64(x: Uint32Array, a: number, y: Uint32Array, b: number): boolean {
  return at(x, a) === at(y, b) && at(x, a + 1) === at(y, b + 1);
}

/** Whether the u64 at `a` is zero. */
export function isZero64(words: Uint32Array, a: number): boolean {
  return (at(words, a) | at(words, a + 1)) === 0;
}

/** −1, 0 or 1, as x < y, x = y or x > y. */
export function compare128(x: Uint32Array, a: number, y: Uint32Array, b: number): number {
  for (let i = 3; i >= 0; i--) {
    const left = at(x, a + i);
    const right = at(y, b + i);
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

/** Copies the u128 at `b` of `source` to `a` of `target`. */
export function copy128(target: Uint32Array, a: number, source: Uint32Array, b: number): void {
  target[a] = at(source, b);
  target[a + 1] = at(source, b + 1);
  target[a + 2] = at(source, b + 2);
  target[a + 3] = at(source, b + 3);
}

/** target = x + y; answers whether the sum overflowed 128 bits. */
export function add128(
  target: Uint32Array,
  t: number,
  x: Uint32Array,
  a: number,
  y: Uint32Array,
  b: number,
): boolean {
  let carry = 0;
  for (let i = 0; i < 4; i++) {
    const sum = at(x, a + i) + at(y, b + i) + carry;
    target[t + i] = sum;
    carry = sum >= U32 ? 1 : 0;
  }
  return carry === 1;
}

/** target = x − y; answers whether the difference is negative (it then wraps). */
export function subtract128(
  target: Uint32Array,
  t: number,
  x: Uint32Array,
  a: number,
  y: Uint32Array,
  b: number,
): boolean {
  let borrow = 0;
  for (let i = 0; i < 4; i++) {
    const difference = at(x, a + i) - at(y, b + i) - borrow;
    target[t + i] = difference;
    borrow = difference < 0 ? 1 : 0;
  }
  return borrow === 1;
}

/** Whether x + y does not fit in 128 bits. */
export function sumOverflows128(x: Uint32Array, a: number, y: Uint32Array, b: number): boolean {
  let carry = 0;
  for (let i = 0; i < 4; i++) {
    carry = at(x, a + i) + at(y, b + i) + carry >= U32 ? 1 : 0;
  }
  return carry === 1;
}

/** Reads a u64 as a bigint. */
export function read64(words: Uint32Array, a: number): bigint {
  return (BigInt(at(words, a + 1)) << 32n) | BigInt(at(words, a));
}

/** Writes a u64. */
export function write64(words: Uint32Array, a: number, value: bigint): void {
  words[a] = Number(value & 0xffff_ffffn);
  words[a + 1] = Number(value >> 32n);
}

/** The bytes of `count` words from `start`, as SQLite takes them. */
export function bytesOf(words: Uint32Array, start: number, count: number): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset + start * 4, count * 4);
}

/** Copies bytes that came from SQLite (of any alignment) into words. */
export function loadBytes(target: Uint32Array, start: number, bytes: Uint8Array): void {
  bytesOf(target, start, bytes.byteLength >>> 2).set(bytes);
}
