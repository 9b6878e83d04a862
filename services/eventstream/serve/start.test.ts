import { expect, test } from "vitest";
import { beginning, endOf } from "#common/wire/cursor.ts";
import { startPosition } from "./start.ts";

const time = 1_500_000_000n;

test("a start names the place before its first event", () => {
  expect(startPosition({ kind: "now" }, time)).toBeUndefined();
  expect(startPosition({ kind: "earliest" }, time)).toEqual(beginning);
  expect(startPosition({ kind: "cursor", position: endOf(time) }, time)).toEqual(endOf(time));
  expect(startPosition({ kind: "since", timestamp: time }, time)).toEqual(endOf(time - 1n));
  for (const timestamp of [-7n, 0n, 1n]) {
    expect(startPosition({ kind: "since", timestamp }, time)).toEqual(beginning);
  }
});

test("what lies ahead of the ledger's time is refused", () => {
  const ahead = { kind: "cursor", position: endOf(time + 1n) } as const;
  expect(() => startPosition(ahead, time)).toThrow(
    expect.objectContaining({
      kind: "CURSOR_IN_FUTURE",
      metadata: {
        headTime: "1970-01-01T00:00:01.500000000Z",
        cursorTime: "1970-01-01T00:00:01.500000001Z",
      },
    }),
  );
  expect(() => startPosition({ kind: "since", timestamp: time + 1n }, time)).toThrow(
    expect.objectContaining({ kind: "INVALID_FIELD", metadata: expect.anything() }),
  );
});
