// The WebAssembly build answers where no native one fits; it must answer the same, good input and bad.
import { createRequire } from "node:module";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fromWasm, type Secp256k1, secp256k1 } from "./secp256k1.ts";

const wasm = fromWasm(createRequire(import.meta.url)("tiny-secp256k1"));
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

/** What an operation gives, or "refused". The two builds word their refusals differently. */
function outcome(operation: () => Uint8Array | { rs: Uint8Array; parity: number }): unknown {
  try {
    const result = operation();
    return result instanceof Uint8Array
      ? Buffer.from(result).toString("hex")
      : { rs: Buffer.from(result.rs).toString("hex"), parity: result.parity };
  } catch {
    return "refused";
  }
}

function same(operation: (build: Secp256k1) => Uint8Array | { rs: Uint8Array; parity: number }) {
  const answer = outcome(() => operation(wasm));
  expect(answer).toEqual(outcome(() => operation(secp256k1)));
  return answer;
}

test("the wasm build is the wasm build", () => {
  expect(wasm.build).toBe("wasm");
});

test("both sign alike, and recover whose signature it is", () => {
  fc.assert(
    fc.property(bytes(32), bytes(32), (digest, privateKey) => {
      same((build) => build.publicKey(privateKey));
      same((build) => build.sign(digest, privateKey));
      const { rs, parity } = secp256k1.sign(digest, privateKey);
      const recovered = same((build) => build.recover(digest, rs, parity));
      expect(recovered).toBe(Buffer.from(secp256k1.publicKey(privateKey)).toString("hex"));
      same((build) => build.recover(digest, rs, 1 - parity));
    }),
    { numRuns: 30 },
  );
});

test("both recover alike from arbitrary bytes", () => {
  fc.assert(
    fc.property(bytes(32), bytes(64), fc.constantFrom(0, 1), (digest, rs, parity) => {
      same((build) => build.recover(digest, rs, parity));
    }),
    { numRuns: 50 },
  );
});

test.each([
  ["r and s 0", Buffer.alloc(64)],
  ["r and s beyond the order", Buffer.alloc(64, 0xff)],
  ["r 1, s 0", Buffer.concat([Buffer.alloc(31), Buffer.of(1), Buffer.alloc(32)])],
])("both refuse %s", (_what, rs) => {
  expect(same((build) => build.recover(Buffer.alloc(32, 1), rs, 0))).toBe("refused");
});

test.each([
  ["0", Buffer.alloc(32)],
  ["beyond the order", Buffer.alloc(32, 0xff)],
])("both refuse a private key that is %s", (_what, privateKey) => {
  expect(same((build) => build.publicKey(privateKey))).toBe("refused");
  expect(same((build) => build.sign(Buffer.alloc(32, 1), privateKey))).toBe("refused");
});
