import type { CommittedTransfer } from "#common/transfer-rows.ts";
import type { AccountRow, HistoryRow, Sums } from "./audit-ports.ts";
import type { Finding } from "./finding.ts";
import { Reservations, type ReservedTransfer } from "./reservations.ts";

/** A reservation of an account that ran out not long before its last transfer. */
interface RunOut {
  readonly at: bigint;
  readonly debits: bigint;
  readonly credits: bigint;
}

/** What the transfers so far make of an account. */
interface AccountState {
  debitsPosted: bigint;
  creditsPosted: bigint;
  debitsPending: bigint;
  creditsPending: bigint;
  /** When its last transfer was committed, and what was pending right after it. */
  touched: bigint;
  debitsPendingThen: bigint;
  creditsPendingThen: bigint;
  /** In the order in which they ran out; undefined while there are none. */
  runOut: RunOut[] | undefined;
}

/**
 * How long an engine may take to release what has run out, nanoseconds: TigerBeetle does it in batches of its own, some
 * 100 ms later, more under a flood. A history row written meanwhile still holds it, and that is no fault.
 */
const releaseMax = 60_000_000_000n;

/**
 * The ledger in small: adds up transfers in the order of their commits, posts and voids what was reserved, and lets
 * reservations run out at their instant. Keeps sums per account and the open reservations, and nothing per transfer.
 */
export class Replay {
  readonly #accounts: Map<bigint, AccountState>;
  readonly #reservations: Reservations;

  constructor(state?: ReplayState) {
    this.#accounts = new Map(state?.accounts.map(unpackAccount));
    this.#reservations = new Reservations(state?.reservations);
  }

  get accountCount(): number {
    return this.#accounts.size;
  }

  get openReservations(): number {
    return this.#reservations.size;
  }

  /** Takes the next transfer. Finds what posts or voids something else than it says. */
  apply(transfer: CommittedTransfer): Finding | undefined {
    this.runOut(transfer.timestamp);
    const debit = this.#account(transfer.debitAccountId);
    const credit = this.#account(transfer.creditAccountId);
    const finding = this.#move(transfer, debit, credit);
    touch(debit, transfer.timestamp);
    touch(credit, transfer.timestamp);
    return finding;
  }

  /** Lets reservations run out whose end is at or before an instant. */
  runOut(instant: bigint): void {
    for (const { transfer, end } of this.#reservations.takeUpTo(instant)) {
      const { amount } = transfer;
      const debit = this.#account(transfer.debitAccountId);
      const credit = this.#account(transfer.creditAccountId);
      debit.debitsPending -= amount;
      credit.creditsPending -= amount;
      debit.runOut = [...(debit.runOut ?? []), { at: end, debits: amount, credits: 0n }];
      credit.runOut = [...(credit.runOut ?? []), { at: end, debits: 0n, credits: amount }];
    }
  }

  /** The sums of an account, as of the last `apply` or `runOut`. */
  sums(accountId: bigint): Sums {
    return this.#accounts.get(accountId) ?? zero;
  }

  /** Whether an account's row says what its transfers do. False may only mean that it has moved on since. */
  agrees(account: AccountRow): boolean {
    return sameSums(account, this.sums(account.id));
  }

  /** What is wrong with an account's newest history row, as of the last `apply`; undefined if nothing is. */
  compare(accountId: bigint, row: HistoryRow | undefined): string | undefined {
    const state = this.#accounts.get(accountId);
    if (state === undefined) {
      return row === undefined ? undefined : "it has moved, and no transfer is its";
    }
    if (row === undefined) return "it has transfers and no history";
    if (row.timestamp !== state.touched) {
      return `its last transfer was at ${state.touched}, its history says ${row.timestamp}`;
    }
    for (const field of ["debitsPosted", "creditsPosted"] as const) {
      if (row[field] !== state[field])
        return `${field} is ${row[field]}, its transfers make ${state[field]}`;
    }
    if (isPendingRow(state, row)) return undefined;
    return (
      `debitsPending and creditsPending were ${row.debitsPending} and ${row.creditsPending}, ` +
      `its transfers make ${state.debitsPendingThen} and ${state.creditsPendingThen}`
    );
  }

  /** Everything, for a checkpoint. */
  state(): ReplayState {
    return {
      accounts: [...this.#accounts].map(packAccount),
      reservations: this.#reservations.all(),
    };
  }

  #move(
    transfer: CommittedTransfer,
    debit: AccountState,
    credit: AccountState,
  ): Finding | undefined {
    const { amount, phase } = transfer;
    if (phase === "PENDING") {
      debit.debitsPending += amount;
      credit.creditsPending += amount;
      this.#reservations.open(transfer);
      return undefined;
    }
    if (phase !== "VOID_PENDING") {
      debit.debitsPosted += amount;
      credit.creditsPosted += amount;
    }
    if (phase === "IMMEDIATE") return undefined;
    const reserved = this.#reservations.close(transfer.pendingId);
    if (reserved === undefined) {
      const detail = `no reservation ${transfer.pendingId} is open`;
      return { kind: "RESERVATION_NOT_OPEN", detail, transfer };
    }
    this.#account(reserved.debitAccountId).debitsPending -= reserved.amount;
    this.#account(reserved.creditAccountId).creditsPending -= reserved.amount;
    const fits =
      reserved.debitAccountId === transfer.debitAccountId &&
      reserved.creditAccountId === transfer.creditAccountId &&
      reserved.ledger === transfer.ledger &&
      (phase === "POST_PENDING" ? amount <= reserved.amount : amount === reserved.amount);
    if (fits) return undefined;
    const detail = `it says other accounts or amounts than the reservation ${transfer.pendingId}`;
    return { kind: "RESERVATION_NOT_OPEN", detail, transfer };
  }

  #account(id: bigint): AccountState {
    const known = this.#accounts.get(id);
    if (known !== undefined) return known;
    const created = { ...zero, touched: 0n, debitsPendingThen: 0n, creditsPendingThen: 0n };
    const state: AccountState = { ...created, runOut: undefined };
    this.#accounts.set(id, state);
    return state;
  }
}

const zero: Sums = { debitsPosted: 0n, creditsPosted: 0n, debitsPending: 0n, creditsPending: 0n };

function sameSums(a: Sums, b: Sums): boolean {
  return (
    a.debitsPosted === b.debitsPosted &&
    a.creditsPosted === b.creditsPosted &&
    a.debitsPending === b.debitsPending &&
    a.creditsPending === b.creditsPending
  );
}

function touch(state: AccountState, timestamp: bigint): void {
  state.touched = timestamp;
  state.debitsPendingThen = state.debitsPending;
  state.creditsPendingThen = state.creditsPending;
  if (state.runOut === undefined) return;
  const recent = state.runOut.filter(({ at }) => at > timestamp - releaseMax);
  state.runOut = recent.length === 0 ? undefined : recent;
}

/** The engine releases in the order of ends, so what a row still holds is the latest few that ran out before it. */
function isPendingRow(state: AccountState, row: HistoryRow): boolean {
  let debits = state.debitsPendingThen;
  let credits = state.creditsPendingThen;
  const isRow = () => debits === row.debitsPending && credits === row.creditsPending;
  const before = (state.runOut ?? []).filter(({ at }) => at <= state.touched);
  for (const held of before.toReversed()) {
    if (isRow()) return true;
    debits += held.debits;
    credits += held.credits;
  }
  return isRow();
}

/** A replay as plain values. */
export interface ReplayState {
  readonly accounts: readonly PackedAccount[];
  /** Open, in the order in which they were made. */
  readonly reservations: readonly ReservedTransfer[];
}

type PackedAccount = readonly [id: bigint, state: Readonly<AccountState>];

function packAccount([id, state]: [bigint, AccountState]): PackedAccount {
  return [id, { ...state }];
}

function unpackAccount([id, state]: PackedAccount): [bigint, AccountState] {
  return [id, { ...state }];
}
