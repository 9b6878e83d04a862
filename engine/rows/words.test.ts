import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { packBalances, unpackBalances } from "../store/packed-balances.ts";
import {
  add128,
  BALANCES_WORDS,
  compare128,
  equal128,
  isMax128,
  isZero128,
  read64,
  subtract128,
  sumOverflows128,
  write64,
} from "./words.ts";

const LIMIT = 1n << 128n;
const u128 = fc.oneof(
  fc.bigInt(0n, LIMIT - 1n),
  fc.constantFrom(0n, 1n, LIMIT - 1n, (1n << 64n) - 1n, 1n << 64n, (1n << 32n) - 1n, 1n << 96n),
);

function write128(words: Uint32Array, a: number, value: bigint): void {
  write64(words, a, value & ((1n << 64n) - 1n));
  write64(words, a + 2, value >> 64n);
}

function read128(words: Uint32Array, a: number): bigint {
  return (read64(words, a + 2) << 64n) | read64(words, a);
}

describe("arithmetic on 32-bit words is arithmetic on integers", () => {
  it("adds, subtracts and compares, also in place, and tells when it does not fit", () => {
    fc.assert(
      fc.property(u128, u128, (x, y) => {
        const words = new Uint32Array(12);
        write128(words, 0, x);
        write128(words, 4, y);
        expect(sumOverflows128(words, 0, words, 4)).toBe(x + y >= LIMIT);
        expect(compare128(words, 0, words, 4)).toBe(x < y ? -1 : x > y ? 1 : 0);
        expect(equal128(words, 0, words, 4)).toBe(x === y);
        expect(isZero128(words, 0)).toBe(x === 0n);
        expect(isMax128(words, 0)).toBe(x === LIMIT - 1n);
        expect(add128(words, 8, words, 0, words, 4)).toBe(x + y >= LIMIT);
        expect(read128(words, 8)).toBe((x + y) % LIMIT);
        expect(subtract128(words, 8, words, 0, words, 4)).toBe(x < y);
        expect(read128(words, 8)).toBe((x - y + LIMIT) % LIMIT);
        add128(words, 0, words, 0, words, 4);
        expect(read128(words, 0)).toBe((x + y) % LIMIT);
      }),
    );
  });

  it("packs balances without loss", () => {
    fc.assert(
      fc.property(fc.tuple(u128, u128, u128, u128), fc.constantFrom(0, 2), (balances, extra) => {
        const words = new Uint32Array(BALANCES_WORDS + 1);
        for (const [i, balance] of balances.entries()) write128(words, 1 + i * 4, balance);
        const unpacked = new Uint32Array(BALANCES_WORDS).fill(7);
        unpackBalances(packBalances(words, 1, extra), extra, unpacked, 0);
        expect(unpacked).toEqual(words.subarray(1));
      }),
    );
  });

  it("notices packed balances of a wrong length", () => {
    const packed = packBalances(new Uint32Array(BALANCES_WORDS).fill(1), 0);
    const words = new Uint32Array(BALANCES_WORDS);
    expect(() => unpackBalances(packed.subarray(0, 20), 0, words, 0)).toThrow("damaged");
    expect(() => unpackBalances(new Uint8Array(0), 0, words, 0)).toThrow("damaged");
  });
});
