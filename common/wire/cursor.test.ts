import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  beginning,
  comparePositions,
  endOf,
  formatCursor,
  type Position,
  parseCursor,
} from "./cursor.ts";

interface CursorVector {
  readonly clusterId: string;
  readonly timestamp: string;
  readonly kind: Position["kind"];
  readonly pendingTimestamp: string;
  readonly cursor: string;
}

const vectors: readonly CursorVector[] = JSON.parse(
  readFileSync(new URL("../../test/vectors/cursors.json", import.meta.url), "utf8"),
);

const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const u128 = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n });
const position: fc.Arbitrary<Position> = fc.oneof(
  fc.record({
    timestamp: u64,
    kind: fc.constant("COMMIT" as const),
    pendingTimestamp: fc.constant(0n),
  }),
  fc.record({ timestamp: u64, kind: fc.constant("EXPIRY" as const), pendingTimestamp: u64 }),
);
/** Few values, so that ties are common. */
const closePosition = position.map((place) => ({
  ...place,
  timestamp: place.timestamp % 3n,
  pendingTimestamp: place.pendingTimestamp % 3n,
}));

test.each(vectors)("golden vector $cursor", ({ clusterId, cursor, ...place }) => {
  const expected = {
    timestamp: BigInt(place.timestamp),
    kind: place.kind,
    pendingTimestamp: BigInt(place.pendingTimestamp),
  };
  expect(formatCursor(BigInt(clusterId), expected)).toBe(cursor);
  expect(parseCursor(cursor, BigInt(clusterId), "cursor")).toEqual(expected);
});

describe("parseCursor", () => {
  test("reads back what formatCursor writes", () => {
    fc.assert(
      fc.property(u128, position, (clusterId, place) => {
        expect(parseCursor(formatCursor(clusterId, place), clusterId, "cursor")).toEqual(place);
      }),
    );
  });

  test("refuses every cursor with one character changed", () => {
    const good = formatCursor(7n, { timestamp: 123n, kind: "COMMIT", pendingTimestamp: 0n });
    for (let i = 0; i < good.length; i += 1) {
      const bad = `${good.slice(0, i)}${good[i] === "B" ? "C" : "B"}${good.slice(i + 1)}`;
      expect(() => parseCursor(bad, 7n, "cursor"), `at ${i}`).toThrow(
        expect.objectContaining({ kind: "CURSOR_INVALID", metadata: { field: "cursor" } }),
      );
    }
  });

  test.each(["", "AQ", "not a cursor", "Aw==", "%%%", "é"])("refuses %j", (text) => {
    expect(() => parseCursor(text, 0n, "cursor")).toThrow(
      expect.objectContaining({ kind: "CURSOR_INVALID" }),
    );
  });

  test("refuses a second spelling of a good cursor", () => {
    const good = formatCursor(0n, beginning);
    for (const other of [`${good}=`, `${good}\n`, ` ${good}`, `${good}A`]) {
      expect(() => parseCursor(other, 0n, "cursor"), JSON.stringify(other)).toThrow(
        expect.objectContaining({ kind: "CURSOR_INVALID" }),
      );
    }
    const standard = Buffer.from(good, "base64url").toString("base64");
    if (standard !== good) {
      expect(() => parseCursor(standard, 0n, "cursor")).toThrow();
    }
  });

  test("tells a cursor of another cluster from a garbled one", () => {
    expect(() => parseCursor(formatCursor(7n, beginning), 8n, "cursor")).toThrow(
      expect.objectContaining({
        kind: "CURSOR_WRONG_CLUSTER",
        metadata: { clusterId: "8", cursorClusterId: "7" },
      }),
    );
  });
});

describe("comparePositions", () => {
  test("is a total order", () => {
    fc.assert(
      fc.property(closePosition, closePosition, closePosition, (a, b, c) => {
        expect(Math.sign(comparePositions(a, b))).toBe(-Math.sign(comparePositions(b, a)) + 0);
        expect(comparePositions(a, b) === 0).toBe(formatCursor(0n, a) === formatCursor(0n, b));
        if (comparePositions(a, b) <= 0 && comparePositions(b, c) <= 0) {
          expect(comparePositions(a, c)).toBeLessThanOrEqual(0);
        }
      }),
    );
  });

  test("an expiry comes after what was committed in the same instant, and before the next", () => {
    const commit: Position = { timestamp: 5n, kind: "COMMIT", pendingTimestamp: 0n };
    const expiry: Position = { timestamp: 5n, kind: "EXPIRY", pendingTimestamp: 1n };
    const next: Position = { timestamp: 6n, kind: "COMMIT", pendingTimestamp: 0n };
    const ordered = [beginning, commit, expiry, endOf(5n), next];
    for (const [i, a] of ordered.entries()) {
      for (const [j, b] of ordered.entries()) {
        expect(Math.sign(comparePositions(a, b))).toBe(Math.sign(i - j));
      }
    }
  });
});
