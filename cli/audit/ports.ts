import type { AttestedIntent } from "#common/intent/intent.ts";
import type { CommittedTransfer } from "#common/ledger/transfer-rows.ts";

/** The four sums of an account, minor units. */
export interface Sums {
  readonly debitsPosted: bigint;
  readonly creditsPosted: bigint;
  readonly debitsPending: bigint;
  readonly creditsPending: bigint;
}

/** An account as the ledger holds it, with its sums as they are now. */
export interface AccountRow extends Sums {
  readonly id: bigint;
  readonly ledger: number;
  readonly code: number;
  readonly userData128: bigint;
  readonly userData64: bigint;
  readonly userData32: number;
  /** True: it may never owe more than it holds. */
  readonly neverOverdrawn: boolean;
  /** True: it keeps its sums after every transfer. */
  readonly history: boolean;
  /** Flags that no account of the mesh is created with, as TigerBeetle numbers them; 0 for none. */
  readonly foreignFlags: number;
  /** When it was created, nanoseconds. */
  readonly timestamp: bigint;
}

/** An account's sums right after one of its transfers. */
export interface HistoryRow extends Sums {
  /** The transfer's, nanoseconds. */
  readonly timestamp: bigint;
}

/** What an audit reads of the ledger; nothing here writes. Rows come in commit order; bounds are inclusive. */
export interface AuditLedger {
  /** The most rows of one page. */
  readonly rowsMax: number;
  /** An instant, nanoseconds: everything committed at or before it is visible, and nothing will join it. */
  instant(): Promise<bigint>;
  transfers(from: bigint, to: bigint): Promise<readonly CommittedTransfer[]>;
  accounts(from: bigint, to: bigint): Promise<readonly AccountRow[]>;
  /** The account's newest history row at or before an instant, or of all (endOfTime); undefined if it has none. */
  history(accountId: bigint, to: bigint): Promise<HistoryRow | undefined>;
}

/** Somebody's row about an intent, and since when it is there. */
export interface SeenIntent {
  /** 32 bytes as lower-case `0x` hex. */
  readonly digest: string;
  /** Unix seconds. */
  readonly seenTime: bigint;
}

/** What an audit reads of the records. What is not there is left out. */
export interface AuditRecords {
  /** By the 24 bytes of their digest that rows carry, as `0x` hex. */
  byPrefix(prefixes: readonly string[]): Promise<ReadonlyMap<string, AttestedIntent>>;
  byIntentId(intentIds: readonly string[]): Promise<ReadonlyMap<string, AttestedIntent>>;
  /** When intents were seen first: by the Attestor, who bound the id, and by Clearing, who stored the evidence. */
  seenTimes(intentIds: readonly string[]): Promise<ReadonlyMap<string, readonly SeenIntent[]>>;
}
