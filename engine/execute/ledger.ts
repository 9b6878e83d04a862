import type { AccountCache } from "../store/account-cache.ts";
import type { RowRef } from "../store/stored-transfers.ts";
import type { PendingState, TransferLog } from "../store/transfer-log.ts";

/** What the rules see of the ledger while a transaction runs. */
export type Ledger = {
  readonly accounts: AccountCache;
  readonly log: TransferLog;
  /** The cache slot of an account, loaded if need be, or −1 if there is no such account. */
  findAccount(words: Uint32Array, a: number): number;
  /** A transfer by id; `"failed"` if its id was burnt by a transient failure. */
  findTransfer(words: Uint32Array, a: number): RowRef | "failed" | undefined;
  /** The state of the pending transfer with this timestamp. */
  pendingState(timestamp: bigint): PendingState;
  /** Set by a rule that answers `exists`: the timestamp of what exists. */
  existing: bigint;
};
