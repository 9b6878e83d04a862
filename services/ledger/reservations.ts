import type { BalanceRecord, LedgerReader, TransferRecord } from "./ledger-reader.ts";

/** What is reserved on an account: the sums of its open pending transfers on either side. */
export interface Pending {
  readonly debits: bigint;
  readonly credits: bigint;
}

/** Rows of the first read: a wallet's reservations are among its last few transfers. */
const firstReadRows = 64;
/** The most reads for one account. At 8189 rows each, the last 130,000 transfers. */
export const reservationReadsMax = 17;

const nothing: Pending = { debits: 0n, credits: 0n };

/**
 * What was reserved on an account at an instant: exactly the pending transfers that were neither posted, voided nor
 * past their time then.
 *
 * The engine's own sums do not say this. Its history rows never show an expiry, and it releases an expired
 * reservation some milliseconds late, so that a row may still hold it or not. Therefore the account's transfers are
 * read back from the newest, and each reservation found is told from its own times. That goes on until one of the
 * newest rows is explained to the last unit by the reservations found: its sums hold every open one, so none is left
 * to find. Usually the first read does it.
 *
 * `latest` is the account's last row at or before `instant`. If the bound is reached (a reservation still open
 * from more transfers ago) the answer is the engine's sum in that row less what was found to have expired since:
 * it may still hold what expired within the engine's delay before the row.
 */
export async function pendingAt(
  reader: Pick<LedgerReader, "rowsMax" | "newestBalances" | "newestTransfers">,
  accountId: bigint,
  latest: BalanceRecord,
  instant: bigint,
): Promise<Pending> {
  if (latest.debitsPending === 0n && latest.creditsPending === 0n) return nothing;
  let limit = Math.min(firstReadRows, reader.rowsMax);
  let to = latest.timestamp;
  const range = { from: 1n, to, limit };
  const [balances, transfers] = await Promise.all([
    reader.newestBalances(accountId, range),
    reader.newestTransfers(accountId, range),
  ]);
  const search = new ReservationSearch(accountId, balances, instant);
  let rows = transfers;
  for (let reads = 1; ; reads += 1) {
    for (const transfer of rows) search.add(transfer);
    if (rows.length < limit || search.complete()) return search.open;
    if (reads === reservationReadsMax) return search.estimate(latest);
    to = (rows.at(-1)?.timestamp ?? 1n) - 1n;
    limit = reader.rowsMax;
    rows = await reader.newestTransfers(accountId, { from: 1n, to, limit });
  }
}

/** Of one row of the account: how much of its pending sums no reservation found so far explains. */
interface Unexplained {
  readonly timestamp: bigint;
  readonly debits: bigint;
  readonly credits: bigint;
}

/** Takes the account's transfers from the newest to the oldest and sorts out the reservations. */
class ReservationSearch {
  readonly #accountId: bigint;
  readonly #instant: bigint;
  /** Oldest first. */
  readonly #rows: readonly Unexplained[];
  /** What changes in the explained sums from one row to the next. */
  readonly #steps: { debits: bigint; credits: bigint }[];
  /** When pending transfers were posted or voided. */
  readonly #resolved = new Map<bigint, bigint>();
  #open: Pending = nothing;
  #expired: Pending = nothing;

  constructor(accountId: bigint, newestBalances: readonly BalanceRecord[], instant: bigint) {
    this.#accountId = accountId;
    this.#instant = instant;
    this.#rows = newestBalances
      .map((row) => ({
        timestamp: row.timestamp,
        debits: row.debitsPending,
        credits: row.creditsPending,
      }))
      .reverse();
    this.#steps = Array.from({ length: this.#rows.length + 1 }, () => ({
      debits: 0n,
      credits: 0n,
    }));
  }

  /** The reservations found that are open at the instant. */
  get open(): Pending {
    return this.#open;
  }

  add(transfer: TransferRecord): void {
    if (transfer.pendingId !== 0n) this.#resolved.set(transfer.pendingId, transfer.timestamp);
    if (transfer.phase !== "PENDING") return;
    const sums = this.#sums(transfer);
    const end = this.#endOf(transfer);
    // A reservation counts in the rows from its own to the last before its end.
    this.#step(this.#rowFrom(transfer.timestamp), sums);
    const last = this.#rows.at(-1)?.timestamp ?? 0n;
    if (end !== undefined && end <= last) {
      this.#step(this.#rowFrom(end), { debits: -sums.debits, credits: -sums.credits });
    }
    if (end === undefined || end > this.#instant) this.#open = plus(this.#open, sums);
    else if (end > last) this.#expired = plus(this.#expired, sums);
  }

  /** True once some row is explained in full. */
  complete(): boolean {
    let explained = nothing;
    return this.#rows.some((row, index) => {
      explained = plus(explained, this.#steps[index] ?? nothing);
      return explained.debits === row.debits && explained.credits === row.credits;
    });
  }

  /** The engine's sums in the last row, less what was found to have expired since. */
  estimate(latest: BalanceRecord): Pending {
    return {
      debits: latest.debitsPending - this.#expired.debits,
      credits: latest.creditsPending - this.#expired.credits,
    };
  }

  #sums(transfer: TransferRecord): Pending {
    return transfer.debitAccountId === this.#accountId
      ? { debits: transfer.amount, credits: 0n }
      : { debits: 0n, credits: transfer.amount };
  }

  /** When a reservation ended: posted, voided or past its time, whichever came first. undefined: never. */
  #endOf(transfer: TransferRecord): bigint | undefined {
    const resolved = this.#resolved.get(transfer.id);
    if (resolved !== undefined) return resolved;
    if (transfer.timeout === 0) return undefined;
    return transfer.timestamp + BigInt(transfer.timeout) * 1_000_000_000n;
  }

  #step(index: number, sums: Pending): void {
    const step = this.#steps[index];
    if (step === undefined) return;
    step.debits += sums.debits;
    step.credits += sums.credits;
  }

  /** The first row at or after a timestamp, by bisection. */
  #rowFrom(timestamp: bigint): number {
    let low = 0;
    let high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const row = this.#rows[middle];
      if (row !== undefined && row.timestamp < timestamp) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function plus(a: Pending, b: Pending): Pending {
  return { debits: a.debits + b.debits, credits: a.credits + b.credits };
}
