// Goal: whatever the pages cut and whenever things run out, the reader tells each event once, whole and in its place.
// Method: ledgers with hand-made and seeded random timestamps, read with every page size, against a plain scan.
import { describe, expect, test } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import { transferRows } from "#common/ledger/transfer-rows.ts";
import { beginning, comparePositions, endOf, type Position } from "#common/wire/cursor.ts";
import { alice, houseIntentOf, intentOf, purchase } from "../../../test/support/intents/intents.ts";
import { createRandom } from "../../../test/support/intents/random-history.ts";
import { ArrayLedger, accountAt } from "../../../test/support/ledger/array-ledger.ts";
import type { StreamEvent } from "./event.ts";
import { EventReader } from "./reader.ts";

const second = 1_000_000_000n;
const openLegsMax = 1_000;

const legs = (count: number) =>
  Array.from({ length: count }, (_, leg) => purchase(alice.address, BigInt(leg + 1)));
const chain = (count: number) => intentOf({ postings: legs(count) });
const hold = (count: number, timeoutSeconds: number) =>
  intentOf({ phase: "PENDING", timeoutSeconds, postings: legs(count) });
const voidOf = (pending: ReturnType<typeof hold>) =>
  houseIntentOf({
    phase: "VOID_PENDING",
    pendingIntentId: pending.intentId,
    postings: pending.postings,
  });

function readerOf(ledger: ArrayLedger, start: Position, rowsMax = 8_189): EventReader {
  return new EventReader({
    ledger: ledger.reads(rowsMax),
    records: ledger.records,
    start,
    openLegsMax,
  });
}

/** Everything up to now. */
async function readAll(
  ledger: ArrayLedger,
  start: Position = beginning,
  limit = 8_189,
): Promise<StreamEvent[]> {
  const reader = readerOf(ledger, start);
  const events: StreamEvent[] = [];
  for (;;) {
    const batch = await reader.read(ledger.now, limit);
    events.push(...batch.events);
    if (batch.through >= ledger.now) return events;
  }
}

function summary(events: readonly StreamEvent[]) {
  return events.map(({ type, position, transfers }) => [
    type,
    position.timestamp,
    transfers.length,
  ]);
}

describe("a chain", () => {
  test("is one event at its last leg, wherever a page cuts it", async () => {
    const ledger = new ArrayLedger();
    ledger.clear(chain(2), 102n);
    ledger.clear(chain(64), 170n);
    ledger.clear(chain(1), 171n);
    ledger.accounts.push(accountAt(5n, 120n), accountAt(6n, 180n));
    ledger.tick(200n);
    const expected = [
      ["CLEARED", 102n, 2],
      ["ACCOUNT_OPENED", 120n, 0],
      ["CLEARED", 170n, 64],
      ["CLEARED", 171n, 1],
      ["ACCOUNT_OPENED", 180n, 0],
    ];
    for (let limit = 1; limit <= 70; limit += 1) {
      expect(summary(await readAll(ledger, beginning, limit)), `pages of ${limit}`).toEqual(
        expected,
      );
    }
  });

  test("that a start cuts is told whole", async () => {
    const ledger = new ArrayLedger();
    ledger.clear(chain(1), 100n);
    ledger.clear(chain(64), 170n);
    for (let timestamp = 100n; timestamp < 170n; timestamp += 1n) {
      const start: Position = { timestamp, kind: "COMMIT", pendingTimestamp: 0n };
      expect(summary(await readAll(ledger, start)), `from ${timestamp}`).toEqual([
        ["CLEARED", 170n, 64],
      ]);
    }
    expect(await readAll(ledger, endOf(170n))).toEqual([]);
  });

  test("longer than any intent, written past Clearing, is not split either", async () => {
    const ledger = new ArrayLedger();
    const [row] = transferRows(chain(1), `0x${"00".repeat(32)}`);
    if (row === undefined) throw new Error();
    const rows = Array.from({ length: 200 }, (_, index) => ({
      ...row,
      id: BigInt(index + 1),
      linked: index < 199,
    }));
    ledger.write(rows, 1_000n);
    const start: Position = { timestamp: 990n, kind: "COMMIT", pendingTimestamp: 0n };
    const events = await readAll(ledger, start);
    expect(summary(events)).toEqual([["CLEARED", 1_000n, 200]]);
    expect(events[0]?.evidence).toBeUndefined();
  });

  test("behind the time that was asked for waits", async () => {
    const ledger = new ArrayLedger();
    ledger.clear(chain(3), 103n);
    const reader = readerOf(ledger, beginning);
    expect(await reader.read(102n, 100)).toEqual({ events: [], through: 102n });
    expect(summary((await reader.read(103n, 100)).events)).toEqual([["CLEARED", 103n, 3]]);
  });
});

describe("a reservation", () => {
  test("runs out as one event at its last leg's end, not a nanosecond before", async () => {
    const ledger = new ArrayLedger();
    ledger.clear(hold(3, 2), 103n);
    const reader = readerOf(ledger, beginning);
    ledger.tick(2n * second + 102n);
    expect(summary((await reader.read(ledger.now, 10)).events)).toEqual([["PENDED", 103n, 3]]);
    ledger.tick(2n * second + 103n);
    const { events } = await reader.read(ledger.now, 10);
    expect(summary(events)).toEqual([["EXPIRED", 2n * second + 103n, 3]]);
    expect(events[0]?.position).toEqual({
      timestamp: 2n * second + 103n,
      kind: "EXPIRY",
      pendingTimestamp: 103n,
    });
    expect(events[0]?.evidence?.intent.phase).toBe("PENDING");
  });

  test("that was voided in the last nanosecond does not run out", async () => {
    const ledger = new ArrayLedger();
    const pending = hold(2, 1);
    ledger.clear(pending, 102n);
    ledger.clear(voidOf(pending), second + 101n);
    ledger.tick(second + 500n);
    for (const limit of [1, 2, 3, 100]) {
      expect(summary(await readAll(ledger, beginning, limit))).toEqual([
        ["PENDED", 102n, 2],
        ["VOIDED", second + 101n, 2],
      ]);
    }
  });

  test("comes after a commit of the same instant, and both are told from every cursor", async () => {
    const ledger = new ArrayLedger();
    ledger.clear(hold(1, 1), 100n);
    ledger.clear(hold(1, 1), 101n);
    ledger.clear(chain(1), second + 100n);
    ledger.clear(chain(1), second + 101n);
    ledger.tick(second + 200n);
    const events = await readAll(ledger);
    expect(summary(events).slice(2)).toEqual([
      ["CLEARED", second + 100n, 1],
      ["EXPIRED", second + 100n, 1],
      ["CLEARED", second + 101n, 1],
      ["EXPIRED", second + 101n, 1],
    ]);
    for (const [index, { position }] of events.entries()) {
      const rest = await readAll(ledger, position);
      expect(summary(rest), `after event ${index}`).toEqual(summary(events.slice(index + 1)));
    }
  });

  test("that two intents end in one instant keeps them apart", async () => {
    const ledger = new ArrayLedger();
    ledger.clear(hold(1, 3), 100n);
    ledger.clear(hold(1, 1), 2n * second + 100n);
    ledger.tick(4n * second);
    const events = await readAll(ledger);
    const expired = events.filter(({ type }) => type === "EXPIRED");
    expect(expired.map(({ position }) => [position.timestamp, position.pendingTimestamp])).toEqual([
      [3n * second + 100n, 100n],
      [3n * second + 100n, 2n * second + 100n],
    ]);
    const [first] = expired;
    if (first === undefined) throw new Error();
    expect(summary(await readAll(ledger, first.position))).toEqual([
      ["EXPIRED", 3n * second + 100n, 1],
    ]);
  });

  test("that was voided past Clearing is known from the ledger alone", async () => {
    const ledger = new ArrayLedger();
    const pending = hold(2, 10);
    const open = hold(1, 10);
    ledger.clear(pending, 102n);
    ledger.clear(open, 103n);
    const rows = transferRows(voidOf(pending), `0x${"00".repeat(32)}`);
    ledger.write(rows, 202n);
    ledger.tick(20n * second);
    for (const rowsMax of [1, 2, 8_189]) {
      const reader = readerOf(ledger, endOf(300n), rowsMax);
      const { events } = await reader.read(ledger.now, rowsMax);
      expect(summary(events)).toEqual([["EXPIRED", 10n * second + 103n, 1]]);
    }
  });

  test("is bounded in number", async () => {
    const ledger = new ArrayLedger();
    ledger.clear(hold(64, 10), 100n);
    const reader = new EventReader({
      ledger: ledger.reads(100),
      records: ledger.records,
      start: beginning,
      openLegsMax: 63,
    });
    await expect(reader.read(ledger.now, 100)).rejects.toMatchObject({ kind: "LIMIT_EXCEEDED" });
  });
});

describe("a look", () => {
  /** Looks, and reads what was seen. */
  async function lookAndRead(reader: EventReader, limit: number): Promise<StreamEvent[]> {
    const events: StreamEvent[] = [];
    const seen = await reader.look(limit);
    if (seen === undefined) return events;
    for (;;) {
      const batch = await reader.read(seen, limit);
      events.push(...batch.events);
      if (batch.through >= seen) return events;
    }
  }

  test("tells everything in its place, whatever is written between its requests", async () => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const random = createRandom(seed);
      const ledger = new ArrayLedger();
      ledger.onRequest = () => {
        for (let writes = Math.floor(random() * 3); writes > 0; writes -= 1) {
          const timestamp = ledger.now + 100n + BigInt(Math.floor(random() * 2e8));
          const kind = random();
          if (kind < 0.4) {
            ledger.accounts.push(accountAt(timestamp, timestamp));
            ledger.tick(timestamp);
          } else if (kind < 0.7) ledger.clear(chain(1 + Math.floor(random() * 4)), timestamp);
          else ledger.clear(hold(2, Math.floor(random() * 3)), timestamp);
        }
      };
      const reader = readerOf(ledger, beginning);
      const events: StreamEvent[] = [];
      for (let looks = 0; looks < 60; looks += 1) events.push(...(await lookAndRead(reader, 50)));
      expect(events.length).toBeGreaterThan(100);
      ledger.onRequest = () => undefined;
      ledger.tick(ledger.now + 10n * second);
      events.push(...(await reader.read(ledger.now, 8_189)).events);
      expect(summary(events), `seed ${seed}`).toEqual(summary(await readAll(ledger)));
    }
  });

  test("says so when there is more than a page, and a read goes on from there", async () => {
    const ledger = new ArrayLedger();
    for (let index = 1n; index <= 9n; index += 1n) ledger.clear(chain(2), index * 10n);
    const reader = readerOf(ledger, beginning);
    expect(await reader.look(5)).toBeUndefined();
    const events: StreamEvent[] = [];
    for (let through = 0n; through < ledger.now; ) {
      const batch = await reader.read(ledger.now, 5);
      events.push(...batch.events);
      through = batch.through;
    }
    expect(summary(events)).toEqual(summary(await readAll(ledger)));
  });

  test("reads no more rows while the records are away", async () => {
    const ledger = new ArrayLedger();
    const reader = readerOf(ledger, beginning);
    ledger.clear(chain(2), 10n);
    ledger.recordsError = new DomainError("RECORDS_UNAVAILABLE", "away");
    await expect(lookAndRead(reader, 50)).rejects.toBe(ledger.recordsError);
    const { requests } = ledger;
    ledger.clear(chain(2), 20n);
    await expect(lookAndRead(reader, 50)).rejects.toBe(ledger.recordsError);
    expect(ledger.requests).toBe(requests);
    ledger.recordsError = undefined;
    expect(summary(await lookAndRead(reader, 50))).toEqual([["CLEARED", 10n, 2]]);
    expect(summary(await lookAndRead(reader, 50))).toEqual([["CLEARED", 20n, 2]]);
  });
});

test("an error of the ledger is told", async () => {
  const ledger = new ArrayLedger();
  ledger.clear(chain(1), 100n);
  const reader = readerOf(ledger, beginning);
  ledger.ledgerError = new DomainError("LEDGER_UNAVAILABLE", "away");
  await expect(reader.read(100n, 10)).rejects.toBe(ledger.ledgerError);
});

test("errors lose nothing and double nothing, whichever side they come from", async () => {
  const ledger = new ArrayLedger();
  const random = createRandom(7);
  const pending = hold(2, 1);
  ledger.clear(pending, 50n);
  for (let index = 1n; index <= 40n; index += 1n) {
    ledger.clear(chain(1 + Number(index % 5n)), index * 100n);
    ledger.accounts.push(accountAt(index, index * 100n + 50n));
  }
  ledger.tick(2n * second);
  const expected = summary(await readAll(ledger));
  for (const start of [beginning, endOf(40n)]) {
    const reader = readerOf(ledger, start);
    const events: StreamEvent[] = [];
    for (let through = 0n; through < ledger.now; ) {
      ledger.recordsError =
        random() < 0.4 ? new DomainError("RECORDS_UNAVAILABLE", "away") : undefined;
      ledger.ledgerError =
        random() < 0.4 ? new DomainError("LEDGER_UNAVAILABLE", "away") : undefined;
      try {
        const batch = await reader.read(ledger.now, 7);
        events.push(...batch.events);
        through = batch.through;
      } catch (error) {
        expect(error).toBeInstanceOf(DomainError);
      }
    }
    ledger.recordsError = undefined;
    ledger.ledgerError = undefined;
    expect(summary(events)).toEqual(expected);
  }
});

test("random histories read the same from every place and in every page", async () => {
  for (let seed = 1; seed <= 5; seed += 1) {
    const random = createRandom(seed);
    const ledger = new ArrayLedger();
    const open: { pending: ReturnType<typeof hold>; until: bigint }[] = [];
    let timestamp = 1_000n;
    for (let step = 0; step < 60; step += 1) {
      timestamp += 70n + BigInt(Math.floor(random() * 3e8));
      const kind = random();
      const resolvable = open.findIndex(({ until }) => until > timestamp);
      if (kind < 0.2) ledger.accounts.push(accountAt(BigInt(step + 1), timestamp));
      else if (kind < 0.5) ledger.clear(chain(1 + Math.floor(random() * 6)), timestamp);
      else if (kind < 0.8 || resolvable === -1) {
        const pending = hold(1 + Math.floor(random() * 3), Math.floor(random() * 4));
        ledger.clear(pending, timestamp);
        if (pending.timeoutSeconds > 0) {
          open.push({ pending, until: timestamp + BigInt(pending.timeoutSeconds) * second - 3n });
        }
      } else {
        for (const { pending } of open.splice(resolvable, 1))
          ledger.clear(voidOf(pending), timestamp);
      }
    }
    ledger.tick(timestamp + 5n * second);
    const events = await readAll(ledger);
    const expectedExpiries = open.length;
    expect(events.filter(({ type }) => type === "EXPIRED")).toHaveLength(expectedExpiries);
    for (const [index, event] of events.entries()) {
      const next = events[index + 1];
      if (next !== undefined) expect(comparePositions(event.position, next.position)).toBe(-1);
      const limit = 1 + Math.floor(random() * 20);
      const rest = await readAll(ledger, event.position, limit);
      expect(summary(rest), `seed ${seed}, event ${index}, pages of ${limit}`).toEqual(
        summary(events.slice(index + 1)),
      );
    }
  }
});
