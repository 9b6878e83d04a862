import { computeAddress, hexlify, SigningKey } from "ethers";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { testKey } from "../../test/support/intents/intents.ts";
import { addressOfPrivateKey, parseSignature, recoverAddress, signDigest } from "./signature.ts";

/** The order of the curve. */
const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const word = (value: bigint) => value.toString(16).padStart(64, "0");
const key = testKey(7);
const digest = `0x${"5a".repeat(32)}`;
const good = signDigest(digest, key.privateKey);
const r = BigInt(good.slice(0, 66));
const s = BigInt(`0x${good.slice(66, 130)}`);
const v = good.slice(130);
const flipped = v === "1b" ? "1c" : "1b";

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const privateKey = fc
  .bigInt({ min: 1n, max: order - 1n })
  .map((value) => Buffer.from(word(value), "hex"));

test("signs, recovers and derives addresses as ethers does", () => {
  fc.assert(
    fc.property(privateKey, bytes32, (secret, hash) => {
      const hashHex = hexlify(hash);
      const oracle = new SigningKey(secret);
      const signature = signDigest(hashHex, secret);
      expect(signature).toBe(oracle.sign(hashHex).serialized);
      expect(addressOfPrivateKey(secret)).toBe(computeAddress(oracle));
      expect(recoverAddress(hashHex, signature)).toBe(computeAddress(oracle));
      expect(parseSignature(signature, "s")).toBe(signature);
      expect(parseSignature(oracle.sign(hashHex).compactSerialized, "s")).toBe(signature);
    }),
    { numRuns: 50 },
  );
});

test("recovers what ethers recovers from arbitrary signatures, or nobody as it does", () => {
  fc.assert(
    fc.property(
      bytes32,
      bytes32,
      fc.bigInt({ min: 0n, max: order / 2n }),
      fc.constantFrom("1b", "1c"),
      (hash, rBytes, sValue, parity) => {
        const signature = `${hexlify(rBytes)}${word(sValue)}${parity}`;
        let expected: string | undefined;
        try {
          expected = computeAddress(SigningKey.recoverPublicKey(hexlify(hash), signature));
        } catch {
          expected = undefined;
        }
        expect(recoverAddress(hexlify(hash), signature)).toBe(expected);
      },
    ),
    { numRuns: 50 },
  );
});

describe("parseSignature", () => {
  test.each([
    ["v 27 or 28", good],
    ["v 0 or 1", `${good.slice(0, 130)}${v === "1b" ? "00" : "01"}`],
    ["upper case", `0x${good.slice(2).toUpperCase()}`],
    ["EIP-2098", `0x${word(r)}${word(v === "1c" ? s | (1n << 255n) : s)}`],
  ])("takes %s and gives the one spelling", (_form, text) => {
    expect(parseSignature(text, "wallet_signature")).toBe(good);
  });

  test.each([
    ["no 0x", good.slice(2), "string.pattern"],
    ["63 bytes", good.slice(0, 128), "string.pattern"],
    ["66 bytes", `${good}00`, "string.pattern"],
    ["no hex", `${good.slice(0, -1)}g`, "string.pattern"],
    ["empty", "", "string.pattern"],
    ["a line end", `${good}\n`, "string.pattern"],
    ["v 2", `${good.slice(0, 130)}02`, "signature.v"],
    ["v 29", `${good.slice(0, 130)}1d`, "signature.v"],
    ["v of EIP-155", `${good.slice(0, 130)}25`, "signature.v"],
    ["high s", `0x${word(r)}${word(order - s)}${flipped}`, "signature.low_s"],
    ["s just above the half", `0x${word(r)}${word(order / 2n + 1n)}1b`, "signature.low_s"],
    ["high s in EIP-2098", `0x${word(r)}${word((1n << 255n) - 1n)}`, "signature.low_s"],
  ])("refuses %s and names the field", (_what, text, rule) => {
    expect(() => parseSignature(text, "wallet_signature")).toThrow(
      expect.objectContaining({
        kind: "INVALID_FIELD",
        metadata: { field: "wallet_signature", rule },
      }),
    );
  });

  test("takes the largest s that is low", () => {
    const text = `0x${word(r)}${word(order / 2n)}1b`;
    expect(parseSignature(text, "s")).toBe(text);
  });
});

describe("recoverAddress", () => {
  test("another digest or parity gives another address", () => {
    expect(recoverAddress(digest, good)).toBe(key.address);
    expect(recoverAddress(`0x${"5b".repeat(32)}`, good)).not.toBe(key.address);
    expect(recoverAddress(digest, `${good.slice(0, 130)}${flipped}`)).not.toBe(key.address);
  });

  test.each([
    ["r is 0", `0x${word(0n)}${word(s)}1b`],
    ["s is 0", `0x${word(r)}${word(0n)}1b`],
    ["r is the order", `0x${word(order)}${word(s)}1b`],
    ["r is no point", `0x${word(5n)}${word(s)}1b`],
    ["all is 0", `0x${"00".repeat(64)}1b`],
    ["it is too short", "0x00"],
    ["it is empty", ""],
  ])("is nobody when %s", (_what, signature) => {
    expect(recoverAddress(digest, signature)).toBeUndefined();
  });
});

test.each([
  ["0", 0n],
  ["the order", order],
])("%s is no private key", (_what, value) => {
  expect(() => addressOfPrivateKey(Buffer.from(word(value), "hex"))).toThrow();
});
