import type { Pool } from "pg";
import { readLedgerIdentity } from "#common/postgres/ledger-identity.ts";
import { type Dependency, watchDependency } from "#common/rpc/health.ts";
import { identityFault, identityRemedy, readLedgerSigns } from "../identity.ts";
import type { LedgerReader } from "../reader.ts";

/**
 * What a service that reads the ledger waits for: that Clearing has written whose ledger the records are, and that it is
 * the one which this service reads. `clusterId`: u128.
 */
export function watchLedgerIdentity(
  pool: Pool,
  reader: (signal: AbortSignal) => LedgerReader,
  clusterId: bigint,
): Dependency {
  const { dependency } = watchDependency("ledger_identity", async (signal) => {
    const identity = await readLedgerIdentity(pool);
    if (identity?.birthTimestamp === undefined) {
      throw new Error("Clearing has not opened this ledger yet");
    }
    const signs = await readLedgerSigns(reader(signal), clusterId, identity);
    const fault = identityFault(identity, signs);
    if (fault !== undefined) throw new Error(`${fault}; ${identityRemedy}`);
  });
  return dependency;
}
