// Goal: what many subscribers hear is written once, and nobody hears another's cursor.
import { expect, test } from "vitest";
import { transferRows } from "#common/ledger/transfer-rows.ts";
import { viewerOf } from "#common/ledger/visibility.ts";
import { endOf } from "#common/wire/cursor.ts";
import {
  alice,
  attest,
  bob,
  intentOf,
  testKey,
  transfer,
} from "../../../test/support/intents/intents.ts";
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

test("an event is written once for each who sees another part of it", () => {
  const carol = testKey(0xca01);
  const intent = intentOf({
    postings: [transfer(alice.address, bob.address), transfer(alice.address, carol.address)],
  });
  const evidence = { intent, attestation: attest(intent, alice) };
  const rows = transferRows(intent, evidence.attestation.digest);
  const transfers = rows.map((row, leg) => ({
    ...row,
    foreignFlags: 0,
    timestamp: 10n + BigInt(leg),
  }));
  const base = told(11n);
  const event: StreamEvent = {
    ...base.event,
    type: "CLEARED",
    transfers,
    account: undefined,
    evidence,
  };
  const message = { ...base, event };
  const encoder = new EventEncoder(7n);
  const hear = (wallet: string | undefined) => encoder.response(message, "a", viewerOf({ wallet }));

  const all = hear(undefined);
  expect(hear(alice.address)).toBe(all);
  const [bobs, carols] = [hear(bob.address), hear(carol.address)];
  expect(hear(bob.address)).toBe(bobs);
  expect(bobs).not.toBe(carols);
  const idsIn = (response: typeof all) =>
    response.message.case === "event"
      ? response.message.value.transfers.map(({ transferId }) => transferId)
      : [];
  const [first, second] = rows.map(({ id }) => String(id));
  expect([idsIn(all), idsIn(bobs), idsIn(carols)]).toEqual([[first, second], [first], [second]]);
  expect(bobs.message.value).toMatchObject({
    intentId: intent.intentId,
    digest: evidence.attestation.digest,
    attested: true,
    masked: true,
    legCount: 2,
    wallet: alice.address,
    merchantId: "",
    reference: "",
  });
  expect(all.message.value).toMatchObject({ masked: false, legCount: 2, reference: "A-17" });
  const dave = viewerOf({ wallet: testKey(0xdade).address });
  expect(() => encoder.event(event, dave)).toThrow("sees nothing of it");
});
