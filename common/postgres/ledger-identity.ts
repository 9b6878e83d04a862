import type { LedgerIdentity } from "#common/ledger/identity.ts";
import { isMissingTable, type Pool, type PoolClient, withRecords } from "./pool.ts";

interface IdentityRow {
  readonly cluster_id: string;
  readonly birth_account_id: string;
  readonly birth_timestamp: string | null;
  readonly high_water_mark: string;
}

/** Which ledger the records belong to; undefined if nobody has written it yet. RECORDS_UNAVAILABLE. */
export async function readLedgerIdentity(
  pool: Pool | PoolClient,
): Promise<LedgerIdentity | undefined> {
  try {
    const { rows } = await withRecords(() =>
      pool.query<IdentityRow>(
        "select cluster_id, birth_account_id, birth_timestamp, high_water_mark from ledger_identity",
      ),
    );
    const [row] = rows;
    return row && parseIdentity(row);
  } catch (error) {
    if (isMissingTable(error)) return undefined;
    throw error;
  }
}

function parseIdentity(row: IdentityRow): LedgerIdentity {
  return {
    clusterId: BigInt(row.cluster_id),
    birthAccountId: BigInt(row.birth_account_id),
    birthTimestamp: row.birth_timestamp === null ? undefined : BigInt(row.birth_timestamp),
    highWaterMark: BigInt(row.high_water_mark),
  };
}
