// Goal: whoever writes past Clearing is found whether anyone listens or not, at a price that is known. Method: a ledger of
// arrays that counts its requests.
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import { transferRows } from "#common/ledger/transfer-rows.ts";
import type { Position } from "#common/wire/cursor.ts";
import { alice, intentOf, purchase } from "../../../test/support/intents/intents.ts";
import { ArrayLedger } from "../../../test/support/ledger/array-ledger.ts";
import { EventReader } from "../read/reader.ts";
import { Hub } from "./hub.ts";

const lookBackNs = 60_000_000_000n;
const startNs = 1_000n * lookBackNs;
const idlePollMs = 20;
const stops: (() => void)[] = [];

afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

function follow(ledger: ArrayLedger) {
  const found: bigint[] = [];
  const roundFailed = vi.fn();
  const reads = ledger.reads(100);
  const hub = new Hub({
    ledger: reads,
    newReader: (start: Position) =>
      new EventReader({ ledger: reads, records: ledger.records, start, openLegsMax: 100 }),
    ringEventsMax: 8,
    ringTransfersMax: 64,
    lookBackNs,
    pollMs: 5,
    idlePollMs,
    retryMs: 5,
    unavailableAfterMs: 1_000,
    observer: {
      unattested: (event) => found.push(event.position.timestamp),
      roundDone: () => undefined,
      roundFailed,
    },
  });
  stops.push(hub.follow());
  return { hub, found, roundFailed };
}

const intent = () => intentOf({ postings: [purchase(alice.address)] });

/** Writes a row whose digest nobody has signed. */
function writePast(ledger: ArrayLedger, timestamp: bigint): void {
  ledger.write(transferRows(intent(), `0x${"ab".repeat(32)}`), timestamp);
}

test("a row written past Clearing is found while nobody listens, once", async () => {
  const ledger = new ArrayLedger();
  ledger.tick(startNs);
  const { found } = follow(ledger);
  await sleep(2 * idlePollMs);
  ledger.clear(intent(), startNs + 5n);
  writePast(ledger, startNs + 10n);
  await vi.waitFor(() => expect(found).toEqual([startNs + 10n]));
  ledger.tick(startNs + 20n);
  await sleep(3 * idlePollMs);
  expect(found).toEqual([startNs + 10n]);
});

test("after a start it looks back so far, and no further", async () => {
  const ledger = new ArrayLedger();
  writePast(ledger, startNs - lookBackNs - 1_000n);
  writePast(ledger, startNs - lookBackNs + 1_000n);
  ledger.tick(startNs);
  const { found } = follow(ledger);
  await vi.waitFor(() => expect(found).toEqual([startNs - lookBackNs + 1_000n]));
});

test("a row written while the ledger or the records are away is found when they are back", async () => {
  const ledger = new ArrayLedger();
  ledger.ledgerError = new DomainError("LEDGER_UNAVAILABLE", "away");
  const { found, roundFailed } = follow(ledger);
  await vi.waitFor(() => expect(roundFailed).toHaveBeenCalled());
  ledger.tick(startNs);
  ledger.ledgerError = undefined;
  ledger.recordsError = new DomainError("RECORDS_UNAVAILABLE", "away");
  writePast(ledger, startNs + 10n);
  await sleep(3 * idlePollMs);
  expect(found).toEqual([]);
  ledger.recordsError = undefined;
  await vi.waitFor(() => expect(found).toEqual([startNs + 10n]));
});

test("a round that nobody waits for costs three requests, and wake-ups start none", async () => {
  const ledger = new ArrayLedger();
  ledger.tick(startNs);
  const { hub } = follow(ledger);
  await vi.waitFor(() => expect(hub.head.timestamp).toBe(startNs));
  const before = ledger.requests;
  const startMs = performance.now();
  while (performance.now() - startMs < 5 * idlePollMs) {
    hub.wake();
    ledger.tick(ledger.now + 1n);
    await sleep(1);
  }
  const roundsMax = Math.ceil((performance.now() - startMs) / idlePollMs) + 1;
  expect(ledger.requests - before).toBeGreaterThan(0);
  expect(ledger.requests - before).toBeLessThanOrEqual(3 * roundsMax);
});

test("whoever comes ends the slow pace at once, and whoever leaves brings it back", async () => {
  const ledger = new ArrayLedger();
  ledger.tick(startNs);
  const { hub, found } = follow(ledger);
  await vi.waitFor(() => expect(hub.head.timestamp).toBe(startNs));
  const leave = hub.hold(ledger.now);
  writePast(ledger, startNs + 10n);
  hub.wake();
  await vi.waitFor(() => expect(found).toEqual([startNs + 10n]));
  leave();
  writePast(ledger, startNs + 20n);
  await vi.waitFor(() => expect(found).toEqual([startNs + 10n, startNs + 20n]));
});
