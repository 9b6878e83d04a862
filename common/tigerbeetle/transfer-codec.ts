import { type QueryFilter, QueryFilterFlags, type Transfer, TransferFlags } from "tigerbeetle-node";
import type { Phase } from "#common/intent/intent.ts";
import type { CommittedTransfer, TransferRow } from "#common/ledger/transfer-rows.ts";

const phaseFlags = {
  IMMEDIATE: TransferFlags.none,
  PENDING: TransferFlags.pending,
  POST_PENDING: TransferFlags.post_pending_transfer,
  VOID_PENDING: TransferFlags.void_pending_transfer,
} as const satisfies Record<Phase, TransferFlags>;

const ownFlags =
  TransferFlags.linked |
  TransferFlags.pending |
  TransferFlags.post_pending_transfer |
  TransferFlags.void_pending_transfer;

/** A row as TigerBeetle's client takes it. */
export function formatTransfer(row: TransferRow): Transfer {
  return {
    id: row.id,
    debit_account_id: row.debitAccountId,
    credit_account_id: row.creditAccountId,
    amount: row.amount,
    pending_id: row.pendingId,
    user_data_128: row.userData128,
    user_data_64: row.userData64,
    user_data_32: row.userData32,
    timeout: row.timeout,
    ledger: row.ledger,
    code: row.code,
    flags: phaseFlags[row.phase] | (row.linked ? TransferFlags.linked : 0),
    timestamp: 0n,
  };
}

/** A transfer as TigerBeetle's client gives it. */
export function parseTransfer(transfer: Transfer): CommittedTransfer {
  return {
    id: transfer.id,
    debitAccountId: transfer.debit_account_id,
    creditAccountId: transfer.credit_account_id,
    amount: transfer.amount,
    pendingId: transfer.pending_id,
    userData128: transfer.user_data_128,
    userData64: transfer.user_data_64,
    userData32: transfer.user_data_32,
    timeout: transfer.timeout,
    ledger: transfer.ledger,
    code: transfer.code,
    phase: phaseOf(transfer.flags),
    linked: (transfer.flags & TransferFlags.linked) !== 0,
    foreignFlags: transfer.flags & ~ownFlags,
    timestamp: transfer.timestamp,
  };
}

function phaseOf(flags: number): Phase {
  if ((flags & TransferFlags.pending) !== 0) return "PENDING";
  if ((flags & TransferFlags.post_pending_transfer) !== 0) return "POST_PENDING";
  if ((flags & TransferFlags.void_pending_transfer) !== 0) return "VOID_PENDING";
  return "IMMEDIATE";
}

export interface TimeRange {
  /** Inclusive, u64 nanoseconds; 0 = no bound. */
  readonly timestampMin: bigint;
  readonly timestampMax: bigint;
  readonly limit: number;
  /** True: the newest first. */
  readonly reversed?: boolean;
}

/** A query with no predicate but time: such a query is a change log without gaps. */
export function everythingIn({
  timestampMin,
  timestampMax,
  limit,
  reversed,
}: TimeRange): QueryFilter {
  return {
    user_data_128: 0n,
    user_data_64: 0n,
    user_data_32: 0,
    ledger: 0,
    code: 0,
    timestamp_min: timestampMin,
    timestamp_max: timestampMax,
    limit,
    flags: reversed === true ? QueryFilterFlags.reversed : QueryFilterFlags.none,
  };
}
