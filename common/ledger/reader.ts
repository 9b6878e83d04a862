import type { CommittedTransfer } from "./transfer-rows.ts";

/** An account as the engine holds it. */
export interface AccountRecord {
  /** u128. */
  readonly id: bigint;
  readonly ledger: number;
  /** The account's class. */
  readonly code: number;
  /** The holder, EIP-55; "" for accounts that are no wallet's. */
  readonly wallet: string;
  readonly closed: boolean;
  /** When it was opened: u64 nanoseconds. */
  readonly timestamp: bigint;
}

/** The sums of an account right after one of its transfers. */
export interface BalanceRecord {
  /** The transfer's timestamp: u64 nanoseconds. */
  readonly timestamp: bigint;
  readonly debitsPosted: bigint;
  readonly creditsPosted: bigint;
  /** May hold reservations that have expired: the engine releases them a little later. */
  readonly debitsPending: bigint;
  readonly creditsPending: bigint;
}

/** The last timestamp that a ledger can give: a range up to here has no end. */
export const endOfTime = (1n << 63n) - 1n;

/** Which rows to read: from the first to the last nanosecond, both inclusive. Without an overlap there are none. */
export interface Range {
  readonly from: bigint;
  readonly to: bigint;
  /** The most rows, 1 to `rowsMax`. Fewer come only when the range holds no more. */
  readonly limit: number;
}

/** One predicate at most: the engine answers such queries from one index, and no more is asked of it. */
export type AccountPredicate = { readonly ledger: number } | { readonly code: number } | "any";
export type TransferPredicate = { readonly accountId: bigint } | { readonly code: number } | "any";

/**
 * What a service asks of the ledger, for the time of one call. Every read throws LEDGER_UNAVAILABLE when the ledger is
 * away or silent, and the reason of the call's signal when that fires first; none hangs. Any other error is a fault of
 * ours.
 */
export interface LedgerReader {
  /** The most rows that one read answers. */
  readonly rowsMax: number;
  /** The engine's clock, nanoseconds: what was committed at or before it is visible to reads that start after. */
  clusterTime(): Promise<bigint>;
  /** Accounts by id; unknown ids are left out. As of one instant if there are at most `rowsMax`. */
  findAccounts(ids: readonly bigint[]): Promise<ReadonlyMap<bigint, AccountRecord>>;
  /** Transfers by id; unknown ids are left out. */
  findTransfers(ids: readonly bigint[]): Promise<ReadonlyMap<bigint, CommittedTransfer>>;
  /** Accounts, in the order in which they were opened. */
  listAccounts(which: AccountPredicate, range: Range): Promise<AccountRecord[]>;
  /** Accounts, the one that was opened last first. */
  newestAccounts(range: Range): Promise<AccountRecord[]>;
  /** Transfers, in commit order. */
  listTransfers(which: TransferPredicate, range: Range): Promise<CommittedTransfer[]>;
  /** Transfers, the newest first. */
  newestTransfers(which: TransferPredicate, range: Range): Promise<CommittedTransfer[]>;
  /** An account's sums after each of its transfers, the newest first. */
  newestBalances(accountId: bigint, range: Range): Promise<BalanceRecord[]>;
}
