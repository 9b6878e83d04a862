import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatUuid, isUuidV7, newUuidV7, uuidBytes } from "./uuid.ts";

describe("newUuidV7", () => {
  test("is a UUIDv7 of the given millisecond", () => {
    const uuid = newUuidV7(0x019abcdef012);
    expect(isUuidV7(uuid)).toBe(true);
    expect(uuid.slice(0, 13)).toBe("019abcde-f012");
  });

  test("never gives the same twice, also within a millisecond", () => {
    expect(new Set(Array.from({ length: 1_000 }, () => newUuidV7(1))).size).toBe(1_000);
  });

  test("sorts by time", () => {
    const times = fc.integer({ min: 0, max: 2 ** 48 - 2 });
    fc.assert(fc.property(times, (ms) => newUuidV7(ms) < newUuidV7(ms + 1)));
  });
});

test.each([
  "019ABCDE-0000-7000-8000-000000000001",
  "019abcde-0000-4000-8000-000000000001",
  "019abcde-0000-7000-7000-000000000001",
  "019abcde-0000-7000-c000-000000000001",
  "019abcde00007000800000000000001",
  "{019abcde-0000-7000-8000-000000000001}",
  "019abcde-0000-7000-8000-000000000001 ",
  "019abcde-0000-7000-8000-000000000001\n",
  "019abcde-0000-7000-8000-00000000000",
  "019abcde-0000-7000-8000-00000000000g",
  "",
])("isUuidV7 refuses %j", (text) => {
  expect(isUuidV7(text)).toBe(false);
});

test("bytes and text are each other's inverse, also within a larger buffer", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      const larger = Buffer.concat([Buffer.of(1, 2, 3), bytes, Buffer.of(4)]);
      const text = formatUuid(larger.subarray(3, 19));
      expect(text).toBe(formatUuid(bytes));
      expect(uuidBytes(text)).toEqual(Buffer.from(bytes));
    }),
  );
});
