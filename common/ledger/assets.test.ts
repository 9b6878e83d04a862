import { expect, test } from "vitest";
import { assets, findAsset, formatAmount } from "./assets.ts";

test("the assets are those of the design; numbers and scales never change", () => {
  expect(assets).toEqual([
    { ledger: 1, code: "USD", scale: 2 },
    { ledger: 2, code: "SFIAT", scale: 2 },
    { ledger: 3, code: "POSCR", scale: 18 },
  ]);
  expect(findAsset(2)?.code).toBe("SFIAT");
  expect(findAsset(0)).toBeUndefined();
  expect(findAsset(4)).toBeUndefined();
});

test.each([
  [0n, 1, "0.00 USD"],
  [1n, 1, "0.01 USD"],
  [-1n, 1, "-0.01 USD"],
  [350n, 1, "3.50 USD"],
  [-12_345n, 2, "-123.45 SFIAT"],
  [1n, 3, "0.000000000000000001 POSCR"],
  [2n ** 128n - 1n, 1, "3402823669209384634633746074317682114.55 USD"],
  [7n, 9, "7 minor units of ledger 9"],
])("%s of ledger %s reads %s", (amount, ledger, text) => {
  expect(formatAmount(amount, ledger)).toBe(text);
});
