import { expect, test } from "vitest";
import { type CommittedTransfer, transferRows } from "#common/ledger/transfer-rows.ts";
import { alice, attest, intentOf, purchase } from "../../../test/support/intents/intents.ts";
import { createRandom } from "../../../test/support/intents/random-history.ts";
import { Expiries } from "./expiries.ts";

const second = 1_000_000_000n;

/** A chain that reserves, its first leg at a timestamp. */
function hold(timestamp: bigint, timeoutSeconds: number, legs = 1): CommittedTransfer[] {
  const postings = Array.from({ length: legs }, () => purchase(alice.address));
  const intent = intentOf({ phase: "PENDING", timeoutSeconds, postings });
  return transferRows(intent, attest(intent).digest).map((row, leg) => ({
    ...row,
    foreignFlags: 0,
    timestamp: timestamp + BigInt(leg),
  }));
}

test("what runs out comes out in order of its end, however it went in", () => {
  const random = createRandom(3);
  const expiries = new Expiries(1_000);
  const ends = Array.from({ length: 200 }, (_, index) => {
    const timeout = 1 + Math.floor(random() * 50);
    expiries.feed(hold(BigInt(index), timeout));
    return BigInt(index) + BigInt(timeout) * second;
  });
  const taken: bigint[] = [];
  for (let now = 0n; now <= 60n * second; now += 7n * second) {
    const due = expiries.takeUpTo(now);
    expect(due.every(({ position }) => position.timestamp <= now)).toBe(true);
    taken.push(...due.map(({ position }) => position.timestamp));
  }
  expect(taken).toEqual(ends.toSorted((a, b) => (a < b ? -1 : 1)));
  expect(expiries.size).toBe(0);
});

test("what was posted or voided does not run out, and is forgotten", () => {
  const expiries = new Expiries(10_000);
  const kept = hold(1n, 5, 2);
  expiries.feed(kept);
  for (let index = 0; index < 5_000; index += 1) {
    const [row] = hold(BigInt(index + 10), 3_600);
    if (row === undefined) throw new Error();
    expiries.feed([row]);
    expiries.feed([
      { ...row, id: row.id + 1n, pendingId: row.id, timeout: 0, phase: "VOID_PENDING" },
    ]);
  }
  expect(expiries.size).toBe(2);
  expect(expiries.kept).toBeLessThan(2_500);
  const [expiry, ...others] = expiries.takeUpTo(10n * second);
  expect(others).toEqual([]);
  expect(expiry?.open).toEqual(new Set(kept.map(({ id }) => id)));
  expect(expiries.takeUpTo(10_000n * second)).toEqual([]);
});

test("an instant between the ends of two legs is inside an expiry", () => {
  const expiries = new Expiries(10);
  const chain = hold(100n, 1, 3);
  expiries.feed(chain);
  const inside = [99n, 100n, 101n, 102n, 103n].map((at) => expiries.isInside(second + at));
  expect(inside).toEqual([false, true, true, false, false]);
  for (const { id } of chain.slice(0, 2)) expiries.close(id);
  expect(expiries.isInside(second + 101n)).toBe(false);
});
