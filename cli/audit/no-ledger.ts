import type { ReadOnlyClient } from "#common/tigerbeetle/read-only-client.ts";

/** What a client would answer of a ledger of which there is no file: an audit makes none, and says what it misses. */
export function emptyLedger(): ReadOnlyClient {
  const nothing = async () => [];
  return {
    lookupAccounts: nothing,
    lookupTransfers: nothing,
    getAccountTransfers: nothing,
    getAccountBalances: nothing,
    queryAccounts: nothing,
    queryTransfers: nothing,
    clusterTime: async () => BigInt(Date.now()) * 1_000_000n,
    destroy: () => undefined,
  };
}
