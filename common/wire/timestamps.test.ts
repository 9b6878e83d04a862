// Goal: an instant crosses the wire without loss, in both directions, and what is no instant is refused by its field.
import { create, fromJson, toJson } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatNanoseconds, parseNanoseconds, parseOptionalNanoseconds } from "./timestamps.ts";

test("loses nothing", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 62n), max: 2n ** 63n - 1n }), (nanoseconds) => {
      const { seconds, nanos } = formatNanoseconds(nanoseconds);
      expect(seconds * 1_000_000_000n + BigInt(nanos)).toBe(nanoseconds);
      expect(nanos).toBeGreaterThanOrEqual(0);
      expect(nanos).toBeLessThan(1_000_000_000);
      expect(parseNanoseconds(create(TimestampSchema, { seconds, nanos }), "time")).toBe(
        nanoseconds,
      );
    }),
  );
  expect(formatNanoseconds(1_795_521_600_000_000_001n)).toEqual(
    fromJson(TimestampSchema, "2026-11-24T12:00:00.000000001Z"),
  );
});

test("writes what lies before 1970 so that JSON can carry it", () => {
  expect(toJson(TimestampSchema, formatNanoseconds(-1n))).toBe("1969-12-31T23:59:59.999999999Z");
});

test.each([-1, 1_000_000_000, 2 ** 31 - 1])("refuses %d nanos", (nanos) => {
  const time = create(TimestampSchema, { seconds: 1n, nanos });
  for (const parse of [parseNanoseconds, parseOptionalNanoseconds]) {
    expect(() => parse(time, "start.since_time")).toThrow(
      expect.objectContaining({
        kind: "INVALID_FIELD",
        metadata: { field: "start.since_time", rule: "timestamp.nanos" },
      }),
    );
  }
});

test("leaves out what is not given", () => {
  expect(parseOptionalNanoseconds(undefined, "to_time")).toBeUndefined();
});
