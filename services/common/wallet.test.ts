import { readFileSync } from "node:fs";
import { getAddress } from "ethers";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  formatWallet,
  isWalletAccountId,
  parseWallet,
  walletAccountId,
  walletBytes,
  walletOfUserData,
  walletUserData,
} from "./wallet.ts";

interface WalletVector {
  readonly wallet: string;
  readonly ledger: number;
  readonly accountId: string;
  readonly userData128: string;
  readonly userData32: number;
}

const vectors: readonly WalletVector[] = JSON.parse(
  readFileSync(new URL("../../test/vectors/wallet-accounts.json", import.meta.url), "utf8"),
);
const address = fc.uint8Array({ minLength: 20, maxLength: 20 });

describe("golden vectors", () => {
  test.each(vectors)("the account of $wallet in ledger $ledger", (vector) => {
    const { wallet, ledger, accountId, userData128, userData32 } = vector;
    expect(walletAccountId(wallet, ledger).toString()).toBe(accountId);
    expect(walletAccountId(wallet.toLowerCase(), ledger).toString()).toBe(accountId);
    expect(walletUserData(wallet)).toEqual({ userData128: BigInt(userData128), userData32 });
    expect(walletOfUserData({ userData128: BigInt(userData128), userData32 })).toBe(wallet);
  });
});

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
        expect(walletOfUserData(walletUserData(expected))).toBe(expected);
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

test.each([
  [0n, false],
  [2_000_000n, false],
  [2n ** 127n - 1n, false],
  [2n ** 127n, true],
  [2n ** 128n - 1n, true],
])("isWalletAccountId(%s) is %s", (accountId, expected) => {
  expect(isWalletAccountId(accountId)).toBe(expected);
});
