// Goal: what many subscribers hear is written once, and nobody hears another's cursor.
import { expect, test } from "vitest";
import { endOf } from "#common/wire/cursor.ts";
import { accountAt } from "../../../test/support/ledger/array-ledger.ts";
import type { StreamEvent } from "../read/event.ts";
import { EventEncoder } from "./encode.ts";
import type { StreamMessage } from "./subscription.ts";

function told(timestamp: bigint): StreamMessage & { kind: "event" } {
  const event: StreamEvent = {
    position: { timestamp, kind: "COMMIT", pendingTimestamp: 0n },
    type: "ACCOUNT_OPENED",
    transfers: [],
    account: accountAt(timestamp, timestamp),
    evidence: undefined,
  };
  return { kind: "event", position: event.position, event };
}

test("those who hear the same event after the same cursor get the same message", () => {
  const encoder = new EventEncoder(7n);
  const message = told(10n);
  const first = encoder.response(message, "a");
  expect(encoder.response(message, "a")).toBe(first);
  const other = encoder.response(message, "b");
  expect(other.prevCursor).toBe("b");
  expect(first.prevCursor).toBe("a");
  expect(other.message.value).toBe(first.message.value);
  expect(encoder.event(message.event)).toBe(first.message.value);
  expect(other.cursor).toBe(encoder.cursor(message.position));
});

test("what stands at one place is told apart: an event, and a bookmark there", () => {
  const encoder = new EventEncoder(7n);
  const message = told(10n);
  const event = encoder.response(message, "a");
  const { position } = message;
  const bookmark = encoder.response({ kind: "bookmark", position, head: endOf(20n) }, "a");
  expect([event.message.case, bookmark.message.case]).toEqual(["event", "bookmark"]);
  expect(bookmark.cursor).toBe(event.cursor);
  expect(encoder.response(message, "a")).toBe(event);
});
