import { type Client, CreateTransferStatus, type Transfer } from "tigerbeetle-node";

/** A transfer that cannot be: id 0 is refused, changes nothing, and its result carries the cluster's time. */
const probe: Transfer = {
  id: 0n,
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

/** Reads the cluster's clock, nanoseconds since 1970. It goes through consensus, like a write. */
export async function clusterTime(client: Client): Promise<bigint> {
  const [result] = await client.createTransfers([probe]);
  if (result === undefined || result.status !== CreateTransferStatus.id_must_not_be_zero) {
    throw new Error(`the clock probe was answered ${result?.status}`);
  }
  return result.timestamp;
}
