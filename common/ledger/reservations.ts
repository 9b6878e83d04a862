import type { BalanceRecord, LedgerReader } from "./reader.ts";
import type { CommittedTransfer } from "./transfer-rows.ts";

/** What is reserved on an account: the sums of its open pending transfers on either side. */
export interface Pending {
  readonly debits: bigint;
  readonly credits: bigint;
}

/** Tells what was reserved on accounts. One for a process: it remembers what took long to find. */
export interface Reservations {
  /**
   * What was reserved on an account at an instant, nanoseconds: exactly the pending transfers that were neither
   * posted, voided nor past their time then. `latest` is the account's last row at or before the instant.
   */
  pendingAt(
    reader: ReservationReader,
    accountId: bigint,
    latest: BalanceRecord,
    instant: bigint,
  ): Promise<Pending>;
}

/** The part of a LedgerReader that reservations are found with. */
export type ReservationReader = Pick<
  LedgerReader,
  "rowsMax" | "newestBalances" | "newestTransfers" | "listTransfers"
>;

/** An open pending transfer. */
interface Reservation extends Pending {
  readonly id: bigint;
  /** When its time is over: nanoseconds, exclusive; undefined for never. */
  readonly end: bigint | undefined;
}

/** All that was reserved on an account at one instant. */
interface Known {
  readonly instant: bigint;
  readonly open: ReadonlyMap<bigint, Reservation>;
}

/** Rows of the first read: a wallet's reservations are among its last few transfers. */
const firstReadRows = 64;
/** The most reads for one account. At 8189 rows each, the last 130,000 transfers. */
export const reservationReadsMax = 17;
/** The most reservations that are remembered, some 20 MB; the account longest not asked for goes first. */
const rememberedMax = 100_000;

const nothing: Pending = { debits: 0n, credits: 0n };

/**
 * The engine's own sums do not say what is reserved at an instant. Its history rows never show an expiry, and it
 * releases an expired reservation some milliseconds late, so that a row may still hold it or not. Therefore the
 * account's transfers are read, and each reservation is told from its own times.
 *
 * That goes backwards from the newest, until one of the newest rows is explained to the last unit by the
 * reservations found: its sums hold every open one, so none is left to find. Usually the first read does it. Where
 * it took more, the open reservations are remembered, and the next call only reads what came after.
 *
 * If even the bound does not suffice (a reservation that is open since more than 130,000 transfers of its account,
 * and none remembered) the answer is the engine's sum less what was found to have expired since: it may still hold
 * what expired within the engine's delay before the account's last row.
 */
export function createReservations(): Reservations {
  const memory = new Map<bigint, Known>();
  let remembered = 0;

  function remember(accountId: bigint, known: Known): void {
    const before = memory.get(accountId);
    if (before !== undefined && before.instant > known.instant) return;
    forget(accountId);
    memory.set(accountId, known);
    remembered += known.open.size;
    for (const oldest of memory.keys()) {
      if (remembered <= rememberedMax) break;
      forget(oldest);
    }
  }

  function forget(accountId: bigint): void {
    remembered -= memory.get(accountId)?.open.size ?? 0;
    memory.delete(accountId);
  }

  return {
    async pendingAt(reader, accountId, latest, instant) {
      if (latest.debitsPending === 0n && latest.creditsPending === 0n) return nothing;
      const before = memory.get(accountId);
      if (before !== undefined && before.instant <= instant) {
        const known = await followOn(reader, accountId, before, instant);
        if (known !== undefined) {
          remember(accountId, known);
          return sumOf(known.open.values());
        }
      }
      const search = await searchBack(reader, accountId, latest, instant);
      if (!search.complete) return search.estimate(latest);
      if (search.reads > 1) remember(accountId, { instant, open: search.open });
      return sumOf(search.open.values());
    },
  };
}

/** Applies what came after a known instant; undefined if that is more than the bound. */
async function followOn(
  reader: ReservationReader,
  accountId: bigint,
  known: Known,
  instant: bigint,
): Promise<Known | undefined> {
  const open = new Map(known.open);
  let from = known.instant + 1n;
  for (let reads = 1; reads <= reservationReadsMax; reads += 1) {
    const range = { from, to: instant, limit: reader.rowsMax };
    const transfers = await reader.listTransfers({ accountId }, range);
    for (const transfer of transfers) {
      if (transfer.phase === "PENDING") {
        open.set(transfer.id, reservationOf(accountId, transfer));
      } else if (transfer.pendingId !== 0n) {
        open.delete(transfer.pendingId);
      }
    }
    if (transfers.length < range.limit) {
      for (const [id, { end }] of open) if (end !== undefined && end <= instant) open.delete(id);
      return { instant, open };
    }
    from = (transfers.at(-1)?.timestamp ?? instant) + 1n;
  }
  return undefined;
}

async function searchBack(
  reader: ReservationReader,
  accountId: bigint,
  latest: BalanceRecord,
  instant: bigint,
): Promise<ReservationSearch> {
  let range = {
    from: 1n,
    to: latest.timestamp,
    limit: Math.min(firstReadRows, reader.rowsMax),
  };
  const [balances, newest] = await Promise.all([
    reader.newestBalances(accountId, range),
    reader.newestTransfers({ accountId }, range),
  ]);
  const search = new ReservationSearch(accountId, balances, instant);
  search.add(newest, newest.length < range.limit);
  let oldest = newest.at(-1);
  while (!search.complete && search.reads < reservationReadsMax && oldest !== undefined) {
    range = { from: 1n, to: oldest.timestamp - 1n, limit: reader.rowsMax };
    const older = await reader.newestTransfers({ accountId }, range);
    search.add(older, older.length < range.limit);
    oldest = older.at(-1);
  }
  return search;
}

function reservationOf(accountId: bigint, transfer: CommittedTransfer): Reservation {
  const { id, amount, timeout, timestamp } = transfer;
  const isDebit = transfer.debitAccountId === accountId;
  return {
    id,
    debits: isDebit ? amount : 0n,
    credits: isDebit ? 0n : amount,
    end: timeout === 0 ? undefined : timestamp + BigInt(timeout) * 1_000_000_000n,
  };
}

/** What is not yet explained of the pending sums in one row of the account; a step from the row before it. */
interface Step {
  readonly timestamp: bigint;
  debits: bigint;
  credits: bigint;
}

/** Takes the account's transfers from the newest to the oldest and sorts out the reservations. */
class ReservationSearch {
  /** Open at the instant, as far as found. */
  readonly open = new Map<bigint, Reservation>();
  /** True once nothing is left to find. */
  complete = false;
  reads = 0;
  readonly #accountId: bigint;
  readonly #instant: bigint;
  /** Of the newest rows, oldest first. */
  readonly #steps: readonly Step[];
  /** When pending transfers were posted or voided. */
  readonly #resolved = new Map<bigint, bigint>();
  /** Found, open in the last row, and past their time at the instant. */
  readonly #expired: Pending[] = [];

  constructor(accountId: bigint, newestBalances: readonly BalanceRecord[], instant: bigint) {
    this.#accountId = accountId;
    this.#instant = instant;
    let before = nothing;
    this.#steps = newestBalances.toReversed().map((row) => {
      const pending = { debits: row.debitsPending, credits: row.creditsPending };
      const step = { timestamp: row.timestamp, ...minus(pending, before) };
      before = pending;
      return step;
    });
  }

  /** Takes older transfers, the newest of them first. `last`: there are no older ones. */
  add(transfers: readonly CommittedTransfer[], last: boolean): void {
    this.reads += 1;
    for (const transfer of transfers) {
      if (transfer.phase === "PENDING") this.#addReservation(transfer);
      else if (transfer.pendingId !== 0n) {
        this.#resolved.set(transfer.pendingId, transfer.timestamp);
      }
    }
    this.complete = last || this.#explainsSomeRow();
  }

  /** The engine's sums in the last row, less what was found to have expired since. */
  estimate(latest: BalanceRecord): Pending {
    const pending = { debits: latest.debitsPending, credits: latest.creditsPending };
    return minus(pending, sumOf(this.#expired));
  }

  #addReservation(transfer: CommittedTransfer): void {
    const reservation = reservationOf(this.#accountId, transfer);
    // Whoever posts or voids comes before the end, so this is the earlier of the two.
    const end = this.#resolved.get(transfer.id) ?? reservation.end;
    // It is in the sums of the rows from its own to the last before its end.
    this.#subtractFrom(transfer.timestamp, reservation);
    if (end === undefined || end > this.#instant) this.open.set(transfer.id, reservation);
    if (end === undefined) return;
    const lastRow = this.#steps.at(-1)?.timestamp ?? 0n;
    if (end <= lastRow) {
      this.#subtractFrom(end, minus(nothing, reservation));
    } else if (end <= this.#instant) {
      this.#expired.push(reservation);
    }
  }

  #explainsSomeRow(): boolean {
    let left = nothing;
    return this.#steps.some((step) => {
      left = plus(left, step);
      return left.debits === 0n && left.credits === 0n;
    });
  }

  /** Takes sums from all rows at or after a timestamp. */
  #subtractFrom(timestamp: bigint, sums: Pending): void {
    let low = 0;
    let high = this.#steps.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#steps[middle]?.timestamp ?? timestamp) < timestamp) low = middle + 1;
      else high = middle;
    }
    const step = this.#steps[low];
    if (step === undefined) return;
    step.debits -= sums.debits;
    step.credits -= sums.credits;
  }
}

function sumOf(all: Iterable<Pending>): Pending {
  let debits = 0n;
  let credits = 0n;
  for (const each of all) {
    debits += each.debits;
    credits += each.credits;
  }
  return { debits, credits };
}

function plus(a: Pending, b: Pending): Pending {
  return { debits: a.debits + b.debits, credits: a.credits + b.credits };
}

function minus(a: Pending, b: Pending): Pending {
  return { debits: a.debits - b.debits, credits: a.credits - b.credits };
}
