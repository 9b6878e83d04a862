// Goal: the cards are Stripe's. Method: their check digits, and that none is there twice.
import { expect, test } from "vitest";
import { hasCheckDigit, testCards } from "./test-cards.ts";

test("every number has its check digit, and every name and number is one card's", () => {
  expect(testCards.filter(({ number }) => !hasCheckDigit(number))).toEqual([]);
  expect(new Set(testCards.map(({ name }) => name)).size).toBe(testCards.length);
  expect(new Set(testCards.map(({ number }) => number)).size).toBe(testCards.length);
  expect(hasCheckDigit("4242424242424241")).toBe(false);
});
