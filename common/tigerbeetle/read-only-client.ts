import type { Client } from "tigerbeetle-node";
import { clusterTime } from "./cluster-time.ts";

type Reads =
  | "lookupAccounts"
  | "lookupTransfers"
  | "getAccountTransfers"
  | "getAccountBalances"
  | "queryAccounts"
  | "queryTransfers";

/** The reads of a client and the cluster's time, and nothing else, at run time too. */
export interface ReadOnlyClient extends Pick<Client, Reads> {
  /** The cluster's clock, nanoseconds: every commit at or before it is visible to reads that start after it. */
  clusterTime(): Promise<bigint>;
  destroy(): void;
}

/** Narrows a client to its reads. The object holds no reference to the writes that a caller could reach. */
export function readOnlyClient(client: Client): ReadOnlyClient {
  return Object.freeze<ReadOnlyClient>({
    lookupAccounts: (ids) => client.lookupAccounts(ids),
    lookupTransfers: (ids) => client.lookupTransfers(ids),
    getAccountTransfers: (filter) => client.getAccountTransfers(filter),
    getAccountBalances: (filter) => client.getAccountBalances(filter),
    queryAccounts: (filter) => client.queryAccounts(filter),
    queryTransfers: (filter) => client.queryTransfers(filter),
    clusterTime: () => clusterTime(client),
    destroy: () => client.destroy(),
  });
}
