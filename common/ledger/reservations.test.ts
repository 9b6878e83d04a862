// Goal: what is reserved is told from the reservations' own times, whatever the engine's sums still hold.
// Method: accounts written down by hand, with an engine that releases as late as the case says.

import { describe, expect, test } from "vitest";
import type { BalanceRecord, Range } from "./reader.ts";
import { createReservations, type ReservationReader, reservationReadsMax } from "./reservations.ts";
import type { CommittedTransfer } from "./transfer-rows.ts";

const accountId = 7n;
const second = 1_000_000_000n;

interface Event {
  /** Nanoseconds. */
  readonly at: bigint;
  readonly amount: bigint;
  /** A reservation, in seconds; 0 never ends. */
  readonly timeout?: number;
  /** Posts or voids the reservation made then. */
  readonly resolves?: bigint;
  /** Credits the account instead of debiting it. */
  readonly credit?: boolean;
}

interface Case {
  readonly name: string;
  /** In commit order. */
  readonly events: readonly Event[];
  /** How long after its time the engine releases a reservation. */
  readonly lag: bigint;
  readonly instant: bigint;
  readonly debits: bigint;
  readonly credits: bigint;
}

const spend = (at: bigint): Event => ({ at, amount: 1n });

const cases: readonly Case[] = [
  {
    name: "an open reservation counts",
    events: [{ at: 1n, amount: 5n, timeout: 1 }, spend(2n)],
    lag: 0n,
    instant: second,
    debits: 5n,
    credits: 0n,
  },
  {
    name: "a reservation ends at its time, to the nanosecond",
    events: [{ at: 1n, amount: 5n, timeout: 1 }, spend(2n)],
    lag: 0n,
    instant: 1n + second,
    debits: 0n,
    credits: 0n,
  },
  {
    name: "a posted reservation does not count",
    events: [
      { at: 1n, amount: 5n },
      { at: 2n, amount: 3n, resolves: 1n },
    ],
    lag: 0n,
    instant: 2n,
    debits: 0n,
    credits: 0n,
  },
  {
    name: "an instant before the post still counts it",
    events: [
      { at: 1n, amount: 5n },
      { at: 3n, amount: 3n, resolves: 1n },
    ],
    lag: 0n,
    instant: 2n,
    debits: 5n,
    credits: 0n,
  },
  {
    name: "both sides stand apart",
    events: [
      { at: 1n, amount: 5n },
      { at: 2n, amount: 7n, credit: true },
    ],
    lag: 0n,
    instant: 3n,
    debits: 5n,
    credits: 7n,
  },
  {
    name: "a row written before the engine released an expired reservation still holds it",
    events: [{ at: 1n, amount: 5n, timeout: 1 }, spend(2n), spend(second + 5n)],
    lag: 100n,
    instant: second + 6n,
    debits: 0n,
    credits: 0n,
  },
  {
    name: "an equal amount that is open is not taken for the one that expired",
    events: [
      { at: 1n, amount: 5n },
      { at: 2n, amount: 5n, timeout: 1 },
      ...Array.from({ length: 300 }, (_, index) => spend(3n + BigInt(index))),
      spend(second + 5n),
    ],
    lag: 100n,
    instant: second + 6n,
    debits: 5n,
    credits: 0n,
  },
];

describe("what is reserved", () => {
  test.each(cases)("$name", async ({ events, lag, instant, debits, credits }) => {
    for (const rowsMax of [32, 64, 1_000]) {
      const account = readerOf(events, lag, rowsMax);
      expect(await account.pendingAt(instant)).toEqual({ debits, credits });
    }
  });

  test("reads no further than one page when that explains a row", async () => {
    const many = Array.from({ length: 900 }, (_, index) => spend(BigInt(index + 1)));
    const account = readerOf([...many, { at: 1_000n, amount: 5n }], 0n, 64);
    expect(await account.pendingAt(1_001n)).toEqual({ debits: 5n, credits: 0n });
    expect(account.reads).toBe(1);
  });

  test("is remembered where it took long to find, and followed on from there", async () => {
    const filler = (first: bigint) =>
      Array.from({ length: 500 }, (_, index) => spend(first + BigInt(index)));
    const events = [
      { at: 1n, amount: 5n },
      { at: 2n, amount: 7n, timeout: 1 },
      { at: 3n, amount: 9n, credit: true },
      ...filler(10n),
      { at: 1_000n, amount: 11n },
      { at: 1_001n, amount: 2n, resolves: 3n },
      ...filler(2_000n),
      spend(2n * second),
    ];
    const account = readerOf(events, 100n, 100);
    expect(await account.pendingAt(900n)).toEqual({ debits: 12n, credits: 9n });
    const searched = account.reads;
    expect(searched).toBeGreaterThan(4);
    expect(await account.pendingAt(1_000n)).toEqual({ debits: 23n, credits: 9n });
    expect(account.reads - searched).toBe(1);
    expect(await account.pendingAt(999n)).toEqual({ debits: 12n, credits: 9n });
    expect(await account.pendingAt(1_500n)).toEqual({ debits: 23n, credits: 0n });
    expect(await account.pendingAt(2n * second)).toEqual({ debits: 16n, credits: 0n });
    // Earlier than what is remembered.
    expect(await account.pendingAt(950n)).toEqual({ debits: 12n, credits: 9n });
    expect(await account.pendingAt(2n * second)).toEqual({ debits: 16n, credits: 0n });
  });

  test("is the engine's sum less what expired since, where the search must end", async () => {
    const rowsMax = 64;
    const between = Array.from({ length: rowsMax * (reservationReadsMax + 1) }, (_, index) =>
      spend(2n + BigInt(index)),
    );
    const recent = { at: 100_000n, amount: 3n, timeout: 1 };
    const account = readerOf([{ at: 1n, amount: 5n }, ...between, recent], 0n, rowsMax);
    expect(await account.pendingAt(200_000n)).toEqual({ debits: 8n, credits: 0n });
    expect(await account.pendingAt(2n * second)).toEqual({ debits: 5n, credits: 0n });
    expect(account.reads).toBe(2 * reservationReadsMax);
  });
});

function readerOf(events: readonly Event[], lag: bigint, rowsMax: number) {
  const transfers = events.map(transferOf).toReversed();
  const balances = events.map((event) => balanceOf(events, event.at, lag)).toReversed();
  let reads = 0;
  const within = <Row extends { timestamp: bigint }>(rows: readonly Row[], range: Range): Row[] =>
    rows
      .filter((row) => row.timestamp >= range.from && row.timestamp <= range.to)
      .slice(0, range.limit);
  const newestBalances = async (_: bigint, range: Range) => within(balances, range);
  const reader: ReservationReader = {
    rowsMax,
    newestBalances,
    newestTransfers: async (_, range) => {
      reads += 1;
      return within(transfers, range);
    },
    listTransfers: async (_, range) => {
      reads += 1;
      return within(transfers.toReversed(), range);
    },
  };
  const reservations = createReservations();
  return {
    get reads() {
      return reads;
    },
    pendingAt: (instant: bigint) => {
      const latest = balances.find((row) => row.timestamp <= instant);
      if (latest === undefined) throw new Error("the account has no row yet");
      return reservations.pendingAt(reader, accountId, latest, instant);
    },
  };
}

function transferOf(event: Event): CommittedTransfer {
  const isReservation = event.timeout !== undefined || isPending(event);
  return {
    id: event.at,
    debitAccountId: event.credit === true ? 8n : accountId,
    creditAccountId: event.credit === true ? accountId : 8n,
    amount: event.amount,
    pendingId: event.resolves ?? 0n,
    userData128: 0n,
    userData64: 0n,
    userData32: 0,
    timeout: event.timeout ?? 0,
    ledger: 1,
    code: 2,
    phase: event.resolves !== undefined ? "POST_PENDING" : isReservation ? "PENDING" : "IMMEDIATE",
    linked: false,
    foreignFlags: 0,
    timestamp: event.at,
  };
}

/** Amounts above 1 are reservations unless they resolve one. */
function isPending(event: Event): boolean {
  return event.resolves === undefined && event.amount > 1n;
}

function balanceOf(events: readonly Event[], at: bigint, lag: bigint): BalanceRecord {
  const held = events.filter(
    (event) =>
      isPending(event) &&
      event.at <= at &&
      !events.some((other) => other.resolves === event.at && other.at <= at) &&
      (!event.timeout || at < event.at + BigInt(event.timeout) * second + lag),
  );
  const sum = (credit: boolean) =>
    held
      .filter((event) => (event.credit === true) === credit)
      .reduce((total, event) => total + event.amount, 0n);
  return {
    timestamp: at,
    debitsPosted: 0n,
    creditsPosted: 0n,
    debitsPending: sum(false),
    creditsPending: sum(true),
  };
}
