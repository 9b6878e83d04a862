import { describe, expect, it } from "vitest";
import { parseAmount } from "./amount.ts";

describe("parseAmount", () => {
  it.each([
    ["20", 1, 2_000n],
    ["20.00", 1, 2_000n],
    ["0.5", 1, 50n],
    ["12345678901234567890", 1, 1_234_567_890_123_456_789_000n],
    ["0.000000000000000001", 3, 1n],
  ])("reads %s of ledger %i", (text, ledger, amount) => {
    expect(parseAmount(text, ledger)).toBe(amount);
  });

  it.each(["", "-1", "1.005", "1e3", "1,00", " 1", ".5", "1."])("refuses %j", (text) => {
    expect(() => parseAmount(text, 1)).toThrow(`"${text}" is no amount of USD`);
  });

  it("refuses nothing at all, and unknown assets", () => {
    expect(() => parseAmount("0.00", 1)).toThrow("is zero");
    expect(() => parseAmount("1", 9)).toThrow("unknown ledger 9");
  });
});
