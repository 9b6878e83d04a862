import { keccak_256 } from "@noble/hashes/sha3.js";
import fc from "fast-check";
import { expect, test } from "vitest";
import { keccak256 } from "./keccak256.ts";

test("is the Keccak-256 of the other implementation, at every length around a block's 136 bytes", () => {
  for (let length = 0; length < 300; length += 1) {
    const bytes = Uint8Array.from({ length }, (_, index) => (index * 31 + length) % 256);
    expect(keccak256(bytes)).toEqual(keccak_256(bytes));
  }
});

test("of anything, also of a part of a larger buffer, and gives bytes that stay", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 10_000 }), fc.nat(100), (bytes, offset) => {
      const part = Buffer.from(bytes).subarray(offset);
      const hash = keccak256(part);
      const copy = Uint8Array.from(hash);
      keccak256(Buffer.from("another"));
      expect(hash).toEqual(copy);
      expect(hash).toEqual(keccak_256(Uint8Array.from(part)));
    }),
  );
});
