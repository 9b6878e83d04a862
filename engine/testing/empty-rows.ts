import type { Account, Transfer } from "tigerbeetle-node";

/** A transfer with nothing but an id. */
export function emptyTransfer(id: bigint): Transfer {
  return {
    id,
    debit_account_id: 0n,
    credit_account_id: 0n,
    amount: 0n,
    pending_id: 0n,
    user_data_128: 0n,
    user_data_64: 0n,
    user_data_32: 0,
    timeout: 0,
    ledger: 0,
    code: 0,
    flags: 0,
    timestamp: 0n,
  };
}

/** An account with nothing but an id. */
export function emptyAccount(id: bigint): Account {
  return {
    id,
    debits_pending: 0n,
    debits_posted: 0n,
    credits_pending: 0n,
    credits_posted: 0n,
    user_data_128: 0n,
    user_data_64: 0n,
    user_data_32: 0,
    reserved: 0,
    ledger: 0,
    code: 0,
    flags: 0,
    timestamp: 0n,
  };
}
