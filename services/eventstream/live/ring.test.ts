import { expect, test } from "vitest";
import type { CommittedTransfer } from "#common/ledger/transfer-rows.ts";
import { beginning, endOf } from "#common/wire/cursor.ts";
import { accountAt } from "../../../test/support/ledger/array-ledger.ts";
import type { StreamEvent } from "../read/event.ts";
import { Ring } from "./ring.ts";

function eventAt(timestamp: bigint, transfers = 0): StreamEvent {
  return {
    position: { timestamp, kind: "COMMIT", pendingTimestamp: 0n },
    type: "ACCOUNT_OPENED",
    transfers: new Array<CommittedTransfer>(transfers),
    account: accountAt(timestamp, timestamp),
    evidence: undefined,
  };
}

test("keeps the newest events and knows from where on it has all", () => {
  const ring = new Ring({ eventsMax: 3, transfersMax: 100, floor: beginning });
  expect(ring.covers(beginning)).toBe(true);
  for (const timestamp of [10n, 20n, 30n]) ring.push(eventAt(timestamp));
  expect(ring.floor).toEqual(beginning);
  expect(ring.push(eventAt(40n))).toBe(3);
  expect(ring.size).toBe(3);
  expect(ring.floor).toEqual(eventAt(10n).position);
  expect(ring.covers(endOf(9n))).toBe(false);
  expect(ring.covers(endOf(10n))).toBe(true);
  expect([0, 1, 3, 4].map((sequence) => ring.get(sequence)?.position.timestamp)).toEqual([
    undefined,
    20n,
    40n,
    undefined,
  ]);
});

test("finds the first event after a place", () => {
  const ring = new Ring({ eventsMax: 8, transfersMax: 100, floor: endOf(5n) });
  expect(ring.sequenceAfter(endOf(5n))).toBe(0);
  for (let timestamp = 10n; timestamp <= 130n; timestamp += 10n) ring.push(eventAt(timestamp));
  for (let timestamp = 60n; timestamp <= 140n; timestamp += 1n) {
    const found = ring.get(ring.sequenceAfter(endOf(timestamp)));
    const next = (timestamp / 10n + 1n) * 10n;
    expect(found?.position.timestamp).toBe(next > 130n ? undefined : next);
  }
  expect(ring.sequenceAfter(eventAt(70n).position)).toBe(7);
});

test("is bounded by transfers too, but always holds the newest event", () => {
  const ring = new Ring({ eventsMax: 100, transfersMax: 10, floor: beginning });
  for (const [timestamp, transfers] of [
    [1n, 4],
    [2n, 4],
    [3n, 4],
  ] as const) {
    ring.push(eventAt(timestamp, transfers));
  }
  expect(ring.size).toBe(2);
  ring.push(eventAt(4n, 64));
  expect(ring.size).toBe(1);
  expect(ring.floor).toEqual(eventAt(3n).position);
});
