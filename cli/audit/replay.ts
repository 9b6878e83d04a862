import type { CommittedTransfer } from "#common/ledger/transfer-rows.ts";
import { type AccountField, AccountTable } from "./account-table.ts";
import type { Finding } from "./finding.ts";
import type { AccountRow, HistoryRow, Sums } from "./ports.ts";
import { Reservations, type ReservedTransfer } from "./reservations.ts";

/** A reservation of an account that ran out not long before its last transfer. */
interface RunOut {
  readonly at: bigint;
  readonly debits: bigint;
  readonly credits: bigint;
}

/**
 * How long an engine may take to release what has run out, nanoseconds: TigerBeetle does it in batches of its own, some
 * 100 ms later, more under a flood. A history row written meanwhile still holds it, and that is no fault.
 */
const releaseMax = 10_000_000_000n;

/**
 * The ledger in small: adds up transfers in the order of their commits, posts and voids what was reserved, and lets
 * reservations run out at their instant. Keeps sums per account and the open reservations, and nothing per transfer.
 */
export class Replay {
  readonly #accounts = new AccountTable();
  /** By account, in the order in which they ran out: what its last history row may still hold, and what came after. */
  readonly #recent = new Map<bigint, RunOut[]>();
  readonly #reservations: Reservations;

  constructor(state?: ReplayState) {
    for (const [id, account] of state?.accounts ?? []) {
      for (const field of packedFields) this.#accounts.set(id, field, account[field]);
      if (account.runOut.length > 0) this.#recent.set(id, [...account.runOut]);
    }
    this.#reservations = new Reservations(state?.reservations);
  }

  /** Takes the next transfer. Finds what posts or voids something else than it says. */
  apply(transfer: CommittedTransfer): Finding | undefined {
    this.runOut(transfer.timestamp);
    const finding = this.#move(transfer);
    this.#touch(transfer.debitAccountId, transfer.timestamp);
    this.#touch(transfer.creditAccountId, transfer.timestamp);
    return finding;
  }

  /** Lets reservations run out whose end is at or before an instant. */
  runOut(instant: bigint): void {
    for (const { transfer, end } of this.#reservations.takeUpTo(instant)) {
      const { debitAccountId, creditAccountId, amount } = transfer;
      this.#release(transfer);
      this.#remember(debitAccountId, { at: end, debits: amount, credits: 0n });
      this.#remember(creditAccountId, { at: end, debits: 0n, credits: amount });
    }
  }

  /** The sums of an account, as of the last `apply` or `runOut`. */
  sums(accountId: bigint): Sums {
    const of = (field: AccountField) => this.#accounts.get(accountId, field);
    return {
      debitsPosted: of("debitsPosted"),
      creditsPosted: of("creditsPosted"),
      debitsPending: of("debitsPending"),
      creditsPending: of("creditsPending"),
    };
  }

  /** Whether an account's row says what its transfers do. False may only mean that it has moved on since. */
  agrees(account: AccountRow): boolean {
    const sums = this.sums(account.id);
    return sumFields.every((field) => account[field] === sums[field]);
  }

  /** What is wrong with an account's newest history row, as of the last `apply`; undefined if nothing is. */
  compare(accountId: bigint, row: HistoryRow | undefined): string | undefined {
    if (!this.#accounts.has(accountId)) {
      return row === undefined ? undefined : "it has moved, and no transfer is its";
    }
    if (row === undefined) return "it has transfers and no history";
    const of = (field: AccountField) => this.#accounts.get(accountId, field);
    const touched = of("touched");
    if (row.timestamp !== touched) {
      return `its last transfer was at ${touched}, its history says ${row.timestamp}`;
    }
    for (const field of ["debitsPosted", "creditsPosted"] as const) {
      if (row[field] !== of(field)) {
        return `${field} is ${row[field]}, its transfers make ${of(field)}`;
      }
    }
    if (this.#isPendingRow(accountId, row)) return undefined;
    return (
      `debitsPending and creditsPending were ${row.debitsPending} and ${row.creditsPending}, ` +
      `its transfers make ${of("debitsPendingThen")} and ${of("creditsPendingThen")}`
    );
  }

  /** Everything, for a checkpoint. */
  state(): ReplayState {
    const accounts = [...this.#accounts.accountIds()].map((id): PackedAccount => {
      const values = packedFields.map((field) => [field, this.#accounts.get(id, field)] as const);
      const sums = Object.fromEntries(values) as Record<AccountField, bigint>;
      return [id, { ...sums, runOut: this.#recent.get(id) ?? [] }];
    });
    return { accounts, reservations: this.#reservations.all() };
  }

  #move(transfer: CommittedTransfer): Finding | undefined {
    const { amount, phase, debitAccountId, creditAccountId } = transfer;
    if (phase === "PENDING") {
      this.#accounts.add(debitAccountId, "debitsPending", amount);
      this.#accounts.add(creditAccountId, "creditsPending", amount);
      this.#reservations.open(transfer);
      return undefined;
    }
    if (phase !== "VOID_PENDING") {
      this.#accounts.add(debitAccountId, "debitsPosted", amount);
      this.#accounts.add(creditAccountId, "creditsPosted", amount);
    }
    if (phase === "IMMEDIATE") return undefined;
    const reserved = this.#reservations.close(transfer.pendingId);
    if (reserved === undefined) {
      const detail = `no reservation ${transfer.pendingId} is open`;
      return { kind: "RESERVATION_NOT_OPEN", detail, transfer };
    }
    this.#release(reserved);
    const fits =
      reserved.debitAccountId === debitAccountId &&
      reserved.creditAccountId === creditAccountId &&
      reserved.ledger === transfer.ledger &&
      (phase === "POST_PENDING" ? amount <= reserved.amount : amount === reserved.amount);
    if (fits) return undefined;
    const detail = `it says other accounts or amounts than the reservation ${transfer.pendingId}`;
    return { kind: "RESERVATION_NOT_OPEN", detail, transfer };
  }

  #release({ debitAccountId, creditAccountId, amount }: ReservedTransfer): void {
    this.#accounts.add(debitAccountId, "debitsPending", -amount);
    this.#accounts.add(creditAccountId, "creditsPending", -amount);
  }

  #touch(accountId: bigint, timestamp: bigint): void {
    const accounts = this.#accounts;
    accounts.set(accountId, "touched", timestamp);
    accounts.set(accountId, "debitsPendingThen", accounts.get(accountId, "debitsPending"));
    accounts.set(accountId, "creditsPendingThen", accounts.get(accountId, "creditsPending"));
    const recent = this.#recent.get(accountId);
    if (recent === undefined) return;
    const first = recent.findIndex(({ at }) => at > timestamp - releaseMax);
    if (first === -1) this.#recent.delete(accountId);
    // All at once and seldom: to take out each by itself would move the rest every time.
    else if (first > recent.length / 2) recent.splice(0, first);
  }

  #remember(accountId: bigint, runOut: RunOut): void {
    const recent = this.#recent.get(accountId);
    if (recent === undefined) this.#recent.set(accountId, [runOut]);
    else recent.push(runOut);
  }

  /** The engine releases in the order of ends, so what a row still holds is the latest few that ran out before it. */
  #isPendingRow(accountId: bigint, row: HistoryRow): boolean {
    let debits = this.#accounts.get(accountId, "debitsPendingThen");
    let credits = this.#accounts.get(accountId, "creditsPendingThen");
    const isRow = () => debits === row.debitsPending && credits === row.creditsPending;
    const touched = this.#accounts.get(accountId, "touched");
    const before = (this.#recent.get(accountId) ?? []).filter(
      ({ at }) => at <= touched && at > touched - releaseMax,
    );
    for (const held of before.toReversed()) {
      if (isRow()) return true;
      debits += held.debits;
      credits += held.credits;
    }
    return isRow();
  }
}

const sumFields = ["debitsPosted", "creditsPosted", "debitsPending", "creditsPending"] as const;
const packedFields = [...sumFields, "debitsPendingThen", "creditsPendingThen", "touched"] as const;

/** A replay as plain values. */
export interface ReplayState {
  readonly accounts: readonly PackedAccount[];
  /** Open, in the order in which they were made. */
  readonly reservations: readonly ReservedTransfer[];
}

type PackedAccount = readonly [
  id: bigint,
  state: Readonly<Record<AccountField, bigint>> & { readonly runOut: readonly RunOut[] },
];
