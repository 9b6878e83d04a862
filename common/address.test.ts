import { getAddress } from "ethers";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatWallet, isChecksumAddress, parseWallet, walletBytes } from "./address.ts";

const address = fc.uint8Array({ minLength: 20, maxLength: 20 });

describe("parseWallet", () => {
  test("takes any case and gives what ethers gives", () => {
    fc.assert(
      fc.property(address, (bytes) => {
        const lower = `0x${Buffer.from(bytes).toString("hex")}`;
        const expected = getAddress(lower);
        expect(parseWallet(lower, "wallet")).toBe(expected);
        expect(parseWallet(`0x${lower.slice(2).toUpperCase()}`, "wallet")).toBe(expected);
        expect(parseWallet(expected, "wallet")).toBe(expected);
        expect(formatWallet(bytes)).toBe(expected);
        expect(walletBytes(expected)).toEqual(Buffer.from(bytes));
      }),
    );
  });

  test("refuses every letter in the wrong case, but for those in one case all through", () => {
    fc.assert(
      fc.property(address, fc.nat(), (bytes, at) => {
        const right = formatWallet(bytes);
        const letters = [...right.matchAll(/[a-f]/gi)].map((match) => match.index);
        const index = letters[at % letters.length] ?? 0;
        const letter = right.charAt(index);
        const other = letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase();
        const wrong = `${right.slice(0, index)}${other}${right.slice(index + 1)}`;
        const digits = wrong.slice(2);
        fc.pre(letters.length > 1 && digits !== digits.toLowerCase());
        fc.pre(digits !== digits.toUpperCase());
        expect(() => parseWallet(wrong, "filter.wallets[2]")).toThrow(
          expect.objectContaining({
            kind: "INVALID_FIELD",
            metadata: { field: "filter.wallets[2]", rule: "address.checksum" },
          }),
        );
        expect(isChecksumAddress(wrong)).toBe(false);
        expect(isChecksumAddress(right)).toBe(true);
      }),
    );
  });

  test.each([
    "",
    "0x",
    "70997970C51812dc3A010C7d01b50e0d17dc79C8",
    "0X70997970C51812dc3A010C7d01b50e0d17dc79C8",
    "0x70997970C51812dc3A010C7d01b50e0d17dc79C",
    "0x70997970C51812dc3A010C7d01b50e0d17dc79C80",
    "0x70997970C51812dc3A010C7d01b50e0d17dc79Cg",
    "0x70997970C51812dc3A010C7d01b50e0d17dc79C8\n",
  ])("refuses %j and names the field", (text) => {
    expect(() => parseWallet(text, "intent.wallet")).toThrow(
      expect.objectContaining({
        kind: "INVALID_FIELD",
        metadata: { field: "intent.wallet", rule: "string.pattern" },
      }),
    );
  });
});
