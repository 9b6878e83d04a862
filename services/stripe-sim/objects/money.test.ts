// Goal: amounts are written, bounded and charged for as Stripe does. Method: tables.
import { expect, test } from "vitest";
import { StripeSimError } from "./errors.ts";
import { chargeFee, checkCharge, formatAmount } from "./money.ts";

test.each([
  [350, "usd", "$3.50"],
  [5, "usd", "$0.05"],
  [99_999_999, "eur", "€999999.99"],
  [500, "jpy", "¥500"],
])("%i of %s is written %s", (amount, currency, text) => {
  expect(formatAmount(amount, currency)).toBe(text);
});

test.each([
  [350, 40],
  [50, 31],
  [1_000, 59],
  [10_000, 320],
])("a charge of %i costs %i", (amount, fee) => {
  expect(chargeFee(amount)).toBe(fee);
});

test("the least and the most of a currency are taken, no less and no more", () => {
  expect(checkCharge(50, "USD")).toBe("usd");
  expect(checkCharge(99_999_999, "usd")).toBe("usd");
  for (const [amount, currency] of [
    [49, "usd"],
    [100_000_000, "usd"],
    [29, "gbp"],
    [100, "constructor"],
  ] as const) {
    expect(() => checkCharge(amount, currency)).toThrow(StripeSimError);
  }
});
