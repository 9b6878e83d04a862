import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatU128, parseU128, u128Max } from "./u128.ts";

const u128 = fc.bigInt({ min: 0n, max: u128Max });

describe("parseU128", () => {
  test.each(["0", "1", "9007199254740993", "340282366920938463463374607431768211455"])(
    "takes %s",
    (text) => {
      expect(parseU128(text, "amount").toString()).toBe(text);
    },
  );

  test.each([
    ["", "string.pattern"],
    ["00", "string.pattern"],
    ["01", "string.pattern"],
    ["-1", "string.pattern"],
    ["-0", "string.pattern"],
    ["+1", "string.pattern"],
    ["1.0", "string.pattern"],
    ["1e3", "string.pattern"],
    ["0x10", "string.pattern"],
    [" 1", "string.pattern"],
    ["1 ", "string.pattern"],
    ["1\n", "string.pattern"],
    ["1_000", "string.pattern"],
    ["１", "string.pattern"],
    ["1000000000000000000000000000000000000000", "string.pattern"],
    ["340282366920938463463374607431768211456", "u128.range"],
    ["999999999999999999999999999999999999999", "u128.range"],
  ])("refuses %j by the rule %s and names the field", (text, rule) => {
    expect(() => parseU128(text, "intent.postings[0].amount")).toThrow(
      expect.objectContaining({
        kind: "INVALID_FIELD",
        metadata: { field: "intent.postings[0].amount", rule },
        violations: [expect.objectContaining({ field: "intent.postings[0].amount", rule })],
      }),
    );
  });

  test("reads back every number that formatU128 prints", () => {
    fc.assert(fc.property(u128, (value) => parseU128(formatU128(value), "id") === value));
  });
});

test.each([-1n, u128Max + 1n])("formatU128 throws on %s, which is no u128", (value) => {
  expect(() => formatU128(value)).toThrow(RangeError);
});
