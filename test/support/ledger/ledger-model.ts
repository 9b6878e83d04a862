import type { TransferRow } from "#common/ledger/transfer-rows.ts";
import type { Seeded } from "../intents/seed.ts";

interface CommittedRow extends TransferRow {
  readonly timestamp: bigint;
}

/** The four sums of an account, minor units. */
export interface ModelSums {
  readonly debitsPosted: bigint;
  readonly creditsPosted: bigint;
  readonly debitsPending: bigint;
  readonly creditsPending: bigint;
}

/**
 * What a ledger must say, told from its committed transfers alone and one at a time: slow, and plain enough to be
 * believed. An instant sees what was committed at or before it, and no reservation whose time is over then.
 */
export class LedgerModel {
  readonly #rows: CommittedRow[] = [];
  /** When reservations were posted or voided. */
  readonly #resolved = new Map<bigint, bigint>();

  /** Takes note of a chain. One that the ledger refused changes nothing. */
  add(seeded: Pick<Seeded, "committed" | "rows" | "timestamps">): void {
    if (!seeded.committed) return;
    for (const [leg, row] of seeded.rows.entries()) {
      const committed = { ...row, timestamp: seeded.timestamps[leg] ?? 0n };
      this.#rows.push(committed);
      if (row.pendingId !== 0n) this.#resolved.set(row.pendingId, committed.timestamp);
    }
  }

  /** Committed transfers in commit order. */
  get rows(): readonly CommittedRow[] {
    return this.#rows.toSorted((a, b) => (a.timestamp < b.timestamp ? -1 : 1));
  }

  /** Every instant at which something happened: commits, and ends of reservations that ran out. */
  get instants(): bigint[] {
    return this.#rows.flatMap((row) => {
      const expiry = this.#expiryOf(row);
      return expiry === undefined || this.#resolved.has(row.id)
        ? [row.timestamp]
        : [row.timestamp, expiry];
    });
  }

  /** The sums of an account at an instant, nanoseconds. */
  sumsAt(accountId: bigint, instant: bigint): ModelSums {
    const sums = { debitsPosted: 0n, creditsPosted: 0n, debitsPending: 0n, creditsPending: 0n };
    for (const row of this.#rows) {
      if (row.timestamp > instant) continue;
      const isDebit = row.debitAccountId === accountId;
      if (!isDebit && row.creditAccountId !== accountId) continue;
      if (row.phase === "IMMEDIATE" || row.phase === "POST_PENDING") {
        sums[isDebit ? "debitsPosted" : "creditsPosted"] += row.amount;
      } else if (row.phase === "PENDING" && this.#isOpen(row, instant)) {
        sums[isDebit ? "debitsPending" : "creditsPending"] += row.amount;
      }
    }
    return sums;
  }

  #isOpen(row: CommittedRow, instant: bigint): boolean {
    const resolved = this.#resolved.get(row.id);
    if (resolved !== undefined && resolved <= instant) return false;
    const expiry = this.#expiryOf(row);
    return expiry === undefined || expiry > instant;
  }

  #expiryOf(row: CommittedRow): bigint | undefined {
    return row.timeout === 0 ? undefined : row.timestamp + BigInt(row.timeout) * 1_000_000_000n;
  }
}
