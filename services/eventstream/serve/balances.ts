import type { AccountRecord, LedgerReader } from "#common/ledger/reader.ts";
import type { Sums } from "#common/ledger/sums-at.ts";
import type { CommittedTransfer } from "#common/ledger/transfer-rows.ts";
import { type StreamEnds, StreamLife } from "#common/stream-life.ts";
import { beginning, endOf, type Position } from "#common/wire/cursor.ts";
import { compileFilter, everything } from "../live/filter.ts";
import type { Hub } from "../live/hub.ts";
import type { Interest } from "../live/interests.ts";
import type { StreamEvent } from "../read/event.ts";
import { expiryOf } from "../read/expiries.ts";

export interface WatchedBalance extends Sums {
  readonly account: AccountRecord;
}

export interface BalanceChanges {
  /** In the first message all that are watched, then those that changed; may be empty. */
  readonly balances: readonly WatchedBalance[];
  /** The instant at which they held, and the place up to which no other watched balance changed. */
  readonly position: Position;
}

/** Tells what accounts held at an instant that the ledger told, reservations that had run out by then left out. */
export type ReadSumsAt = (
  accounts: readonly AccountRecord[],
  instant: bigint,
  signal: AbortSignal,
) => Promise<readonly Sums[]>;

export interface BalanceWatchOptions {
  readonly hub: Hub;
  readonly ledger: Pick<LedgerReader, "clusterTime" | "findTransfers" | "rowsMax">;
  readonly readSumsAt: ReadSumsAt;
  readonly accounts: readonly AccountRecord[];
  /** How often a message comes at least, in milliseconds: a quiet stream must not look dead. */
  readonly keepAliveMs: number;
  readonly ends: StreamEnds;
  /** An instant that the ledger told just now. */
  readonly time: bigint;
  /** Gives the watcher's place back. */
  readonly leave: () => void;
}

/**
 * Follows the balances of some accounts: a snapshot, then what whole events do to it. Changes gather while the
 * watcher does not ask, so that a slow one gets fewer messages and always the newest balances. Holds its place and the
 * hub until `close`.
 */
export class BalanceWatch {
  readonly #options: BalanceWatchOptions;
  readonly #life: StreamLife;
  readonly #interest: Interest;
  readonly #balances = new Map<bigint, WatchedBalance>();
  /** Reservations that had run out by then are not in the snapshot. */
  #snapshotInstant = 0n;

  constructor(options: BalanceWatchOptions) {
    const { hub, accounts, keepAliveMs, ends, time, leave } = options;
    this.#options = options;
    this.#life = new StreamLife({ ends, beatMs: keepAliveMs });
    this.#life.own(leave);
    this.#life.own(hub.hold(time));
    const accountIds = accounts.map(({ id }) => id);
    this.#interest = {
      filter: compileFilter({ ...everything, accountIds }),
      at: beginning,
      isJoined: false,
      firstMatch: undefined,
      wake: this.#life.wake,
    };
  }

  /** The next changes. Throws CANCELLED, DRAINING, LEDGER_UNAVAILABLE, RECORDS_UNAVAILABLE. */
  async next(): Promise<BalanceChanges> {
    const { hub } = this.#options;
    const interest = this.#interest;
    for (;;) {
      this.#throwIfOver();
      if (hub.failure !== undefined) throw hub.failure;
      if (!interest.isJoined) return await this.#snapshot();

      const changed = await this.#follow();
      if (changed === undefined) continue;
      const isDue = this.#life.takeBeat();
      if (changed.length > 0 || isDue) return { balances: changed, position: interest.at };
      if (interest.firstMatch === undefined) await this.#life.wait();
    }
  }

  /** Lets go of everything. Safe to repeat. */
  close(): void {
    this.#options.hub.leave(this.#interest);
    this.#life.close();
  }

  /** A watch ends without a last message: it is opened anew, with a snapshot. */
  #throwIfOver(): void {
    if (this.#life.ending !== undefined) this.#life.finish();
    this.#life.throwIfOver("watch again");
  }

  /** Reads all balances as of now; the first time, and when the ring has moved on past what was seen. */
  async #snapshot(): Promise<BalanceChanges> {
    const { hub, ledger, accounts, readSumsAt, ends } = this.#options;
    for (;;) {
      const position = endOf(await ledger.clusterTime());
      const sums = await readSumsAt(accounts, position.timestamp, ends.signal);
      this.#throwIfOver();
      // Reservations of one intent run out some nanoseconds apart; a state in between is not shown.
      if (hub.isInsideExpiry(position.timestamp)) continue;
      // So much happened meanwhile that the ring has moved on: it is no snapshot to go on from.
      if (!hub.ring.covers(position)) continue;
      const changed = accounts
        .map((account, index) => ({ account, ...sumsOf(sums[index]) }))
        .filter((balance) => this.#set(balance));
      this.#snapshotInstant = position.timestamp;
      this.#interest.at = position;
      hub.join(this.#interest);
      return { balances: changed, position };
    }
  }

  /** Applies what is new in the ring; undefined if the ring has moved on. */
  async #follow(): Promise<WatchedBalance[] | undefined> {
    const events: StreamEvent[] = [];
    for (;;) {
      const event = this.#options.hub.take(this.#interest);
      if (event === undefined) break;
      events.push(event);
    }
    if (!this.#interest.isJoined) return undefined;
    return events.length === 0 ? [] : this.#apply(events);
  }

  async #apply(events: readonly StreamEvent[]): Promise<WatchedBalance[]> {
    const pendingAmounts = await this.#pendingAmounts(events);
    const before = new Map(this.#balances);
    for (const event of events) {
      for (const transfer of event.transfers) {
        if (event.type !== "EXPIRED") {
          this.#add(transfer, effectOf(transfer, pendingAmounts.get(transfer.pendingId) ?? 0n));
        } else if (expiryOf(transfer) > this.#snapshotInstant) {
          this.#add(transfer, { posted: 0n, pending: -transfer.amount });
        }
      }
    }
    return [...this.#balances.values()].filter(
      (balance) => !isEqual(balance, before.get(balance.account.id)),
    );
  }

  /** What the pending transfers of posts and voids had reserved. */
  async #pendingAmounts(events: readonly StreamEvent[]): Promise<Map<bigint, bigint>> {
    const ids = new Set<bigint>();
    for (const { transfers } of events) {
      for (const { pendingId } of transfers) if (pendingId !== 0n) ids.add(pendingId);
    }
    const { ledger } = this.#options;
    const amounts = new Map<bigint, bigint>();
    const wanted = [...ids];
    for (let from = 0; from < wanted.length; from += ledger.rowsMax) {
      const rows = await ledger.findTransfers(wanted.slice(from, from + ledger.rowsMax));
      for (const [id, { amount }] of rows) amounts.set(id, amount);
    }
    return amounts;
  }

  #add({ debitAccountId, creditAccountId }: CommittedTransfer, { posted, pending }: Effect): void {
    const debit = this.#balances.get(debitAccountId);
    if (debit !== undefined) {
      this.#balances.set(debitAccountId, {
        ...debit,
        debitsPosted: debit.debitsPosted + posted,
        debitsPending: debit.debitsPending + pending,
      });
    }
    const credit = this.#balances.get(creditAccountId);
    if (credit !== undefined) {
      this.#balances.set(creditAccountId, {
        ...credit,
        creditsPosted: credit.creditsPosted + posted,
        creditsPending: credit.creditsPending + pending,
      });
    }
  }

  /** True if this is not what was known. */
  #set(balance: WatchedBalance): boolean {
    const known = this.#balances.get(balance.account.id);
    this.#balances.set(balance.account.id, balance);
    return !isEqual(balance, known);
  }
}

/** What a transfer does to the sums of both its accounts, each on its side. */
interface Effect {
  readonly posted: bigint;
  readonly pending: bigint;
}

function effectOf({ phase, amount }: CommittedTransfer, pendingAmount: bigint): Effect {
  switch (phase) {
    case "IMMEDIATE":
      return { posted: amount, pending: 0n };
    case "PENDING":
      return { posted: 0n, pending: amount };
    case "POST_PENDING":
      return { posted: amount, pending: -pendingAmount };
    case "VOID_PENDING":
      return { posted: 0n, pending: -pendingAmount };
  }
}

function sumsOf(sums: Sums | undefined): Sums {
  if (sums === undefined) throw new RangeError("an account was left without sums");
  const { debitsPosted, creditsPosted, debitsPending, creditsPending } = sums;
  return { debitsPosted, creditsPosted, debitsPending, creditsPending };
}

function isEqual(a: Sums, b: Sums | undefined): boolean {
  return (
    b !== undefined &&
    a.debitsPosted === b.debitsPosted &&
    a.creditsPosted === b.creditsPosted &&
    a.debitsPending === b.debitsPending &&
    a.creditsPending === b.creditsPending
  );
}
