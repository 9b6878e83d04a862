import type { MessagePort } from "node:worker_threads";
import {
  type Client,
  type CreateAccountResult,
  type CreateTransferResult,
  ErrorCodes,
  RequestError,
} from "tigerbeetle-node";
import {
  Packer,
  packAccountFilter,
  packAccounts,
  packIds,
  packQueryFilter,
  packTransfers,
  unpackAccounts,
  unpackBalances,
  unpackResults,
  unpackTransfers,
} from "./rows/codec.ts";
import { openDatabase, requireFile } from "./store/database.ts";
import { engineThread } from "./thread/engine-thread.ts";
import { BATCH_MAX, portOf, RequestQueue, type Unpack } from "./thread/request-queue.ts";
import type { Operation } from "./thread/serve.ts";

export type EmbeddedClientOptions = {
  /** The ledger's file. Its folder must exist. */
  readonly path: string;
  /** Whether the file is made if it is not there or empty. Default true; else that is ERR_EMBEDDED_MISSING. */
  readonly create?: boolean;
  /** The cluster id the file belongs to. */
  readonly clusterId: bigint;
  /** Events a request, and rows a reply, may have. Default 8189. */
  readonly batchMax?: number;
  /** How the file is checked at open. `auto` (the default) is `quick` up to 64 MiB, else `none`. */
  readonly integrityCheck?: "auto" | "none" | "quick" | "full";
  /** Pages of the file that the engine's connection keeps in memory, in MB. Default 64; less suits who reads once. */
  readonly cacheMb?: number;
  /** For tests: a shared 64-bit word with the time in nanoseconds, instead of the clock. */
  readonly clock?: SharedArrayBuffer;
  /** For tests: transfers per epoch of the indexes. */
  readonly epochEvents?: number;
  /** For tests: transfers that an index may lack before they are brought in. */
  readonly indexEvents?: number;
};

/** A client that other threads of its process may share. */
export type EmbeddedClient = Client & {
  /**
   * A port to hand over to another thread, for `attachEmbeddedClient` there. That client asks this
   * one's engine, so that the two do not wait for each other's lock on the file, and takes turns
   * with it. Each port serves one client.
   */
  share(): MessagePort;
};

/**
 * TigerBeetle's semantics on one SQLite file, behind the interface of tigerbeetle-node. Throws an
 * {@link EmbeddedLedgerError} at once if the file is another cluster's, too new, not a ledger, or
 * cannot be written. Several processes may open the same file.
 */
export function createEmbeddedClient(options: EmbeddedClientOptions): EmbeddedClient {
  new Packer(4).u128(0, options.clusterId, "cluster_id");
  const { batchMax = BATCH_MAX, integrityCheck = "auto", create = true, ...init } = options;
  if (!create) requireFile(options.path);
  const guard = openDatabase(options.path, options.clusterId);
  return clientOf(new RequestQueue(engineThread({ ...init, integrityCheck }, guard)), batchMax);
}

/**
 * A client on the engine of another thread's client, of which `port` was got by `share`. It is
 * closed when that one is: what waits then fails with ERR_EMBEDDED_STOPPED.
 */
export function attachEmbeddedClient(port: MessagePort): EmbeddedClient {
  return clientOf(new RequestQueue(portOf(port)), BATCH_MAX);
}

function clientOf(queue: RequestQueue, batchMax: number): EmbeddedClient {
  const many = <E, R>(
    operation: Operation,
    pack: (packer: Packer, batch: readonly E[]) => void,
    unpack: Unpack<R>,
  ) => {
    return (batch: E[]): Promise<R[]> =>
      queue.submit(operation, unpack, (begin) => {
        if (!Array.isArray(batch)) throw new Error("Array argument must be an [object Array].");
        if (batch.length > BATCH_MAX) throw new RequestError(ErrorCodes.ERR_TOO_MUCH_DATA);
        const { packer, done } = begin(batch.length, batch.length);
        pack(packer, batch);
        if (batch.length > batchMax) throw new RequestError(ErrorCodes.ERR_TOO_MUCH_DATA);
        done();
      });
  };
  const one = <F extends { limit: number }, R>(
    operation: Operation,
    pack: (packer: Packer, filter: F) => number,
    unpack: Unpack<R>,
  ) => {
    return (filter: F): Promise<R[]> =>
      queue.submit(operation, unpack, (begin) => {
        const { packer, done } = begin(1, Math.min(Number(filter?.limit) || 0, batchMax));
        if (pack(packer, filter) > batchMax) throw new RequestError(ErrorCodes.ERR_TOO_MUCH_DATA);
        done();
      });
  };
  return {
    createAccounts: many("createAccounts", packAccounts, unpackResults<CreateAccountResult>),
    createTransfers: many("createTransfers", packTransfers, unpackResults<CreateTransferResult>),
    lookupAccounts: many("lookupAccounts", packIds, unpackAccounts),
    lookupTransfers: many("lookupTransfers", packIds, unpackTransfers),
    getAccountTransfers: one("getAccountTransfers", packAccountFilter, unpackTransfers),
    getAccountBalances: one("getAccountBalances", packAccountFilter, unpackBalances),
    queryAccounts: one("queryAccounts", packQueryFilter, unpackAccounts),
    queryTransfers: one("queryTransfers", packQueryFilter, unpackTransfers),
    destroy: () => queue.destroy(),
    share: () => queue.share(),
  };
}
