import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatWallet } from "#common/address.ts";
import {
  isWalletAccountId,
  walletAccountId,
  walletOfUserData,
  walletUserData,
} from "./wallet-account.ts";

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

describe("golden vectors", () => {
  test.each(vectors)("the account of $wallet in ledger $ledger", (vector) => {
    const { wallet, ledger, accountId, userData128, userData32 } = vector;
    expect(walletAccountId(wallet, ledger).toString()).toBe(accountId);
    expect(walletAccountId(wallet.toLowerCase(), ledger).toString()).toBe(accountId);
    expect(walletUserData(wallet)).toEqual({ userData128: BigInt(userData128), userData32 });
    expect(walletOfUserData({ userData128: BigInt(userData128), userData32 })).toBe(wallet);
  });
});

test("a row carries the whole address", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), (bytes) => {
      const wallet = formatWallet(bytes);
      expect(walletOfUserData(walletUserData(wallet))).toBe(wallet);
    }),
  );
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
