import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { MessagePort } from "node:worker_threads";
import {
  AccountFlags,
  type Client,
  createClient,
  ErrorCodes,
  RequestError,
  TransferFlags,
} from "tigerbeetle-node";
import {
  attachEmbeddedClient,
  createEmbeddedClient,
  type EmbeddedClientOptions,
} from "#engine/client.ts";
import { awaitedClient } from "./awaited-client.ts";

/** Which engine stores the transfers. */
export type Engine =
  | { readonly kind: "tigerbeetle"; readonly addresses: readonly string[] }
  | { readonly kind: "embedded"; readonly path: string };

export interface EngineConfig {
  /** u128. */
  readonly clusterId: bigint;
  readonly engine: Engine;
  /** The most events in one request: 8189, or 253 on a replica started with --development. */
  readonly batchMax: number;
}

/**
 * How long a client that is to be destroyed waits for the answers it still expects, in milliseconds. Destroyed before,
 * tigerbeetle-node may end the process (SIGABRT) when more than one was to come.
 */
const lastAnswersMs = 2_000;

/** How often a lost session is opened again for one request before the request fails. */
const reopenMax = 3;

/** A client of the engine. */
export interface EngineClient extends Client {
  /**
   * The embedded engine's: a port for another thread of this process, where `openClient` makes a client of it that asks
   * the same engine. Undefined on TigerBeetle, where each client has a session of its own.
   */
  share(): MessagePort | undefined;
}

export interface OpenClientOptions extends Pick<EmbeddedClientOptions, "cacheMb"> {
  /** Of `share` in another thread; the engine is opened if there is none. */
  readonly sharedPort?: MessagePort | undefined;
  /**
   * What to do if the embedded engine's file is not there: make it (the default), throw, or fail every request until
   * somebody else has made it.
   */
  readonly ifMissing?: "create" | "refuse" | "await";
}

/**
 * Opens the engine. The client heals itself: when the cluster evicts its session it opens another and sends the
 * same request again, which is safe because ids make every write idempotent. Requests with the `imported` flag
 * are refused: they would break the change log, and one can destroy a replica's data file. `destroy` takes no more
 * requests; those to TigerBeetle that are under way are still answered, if it answers within two seconds.
 *
 * `cacheMb`: the embedded engine's, if its own choice does not suit.
 */
export async function openClient(
  { engine, clusterId }: EngineConfig,
  { sharedPort, ifMissing = "create", ...options }: OpenClientOptions = {},
): Promise<EngineClient> {
  if (engine.kind === "tigerbeetle") {
    const client = await selfHealing(() => openTigerBeetle(clusterId, engine.addresses));
    return guardImported({ ...client, share: () => undefined });
  }
  if (sharedPort !== undefined) return guardImported(attachEmbeddedClient(sharedPort));
  const create = ifMissing === "create";
  const open = () => createEmbeddedClient({ path: engine.path, clusterId, create, ...options });
  return guardImported(ifMissing === "await" ? awaitedClient(open) : open());
}

/** TigerBeetle takes addresses only; names are resolved at every (re)opening because pods move. */
async function openTigerBeetle(clusterId: bigint, addresses: readonly string[]): Promise<Client> {
  const resolved = await Promise.all(addresses.map(resolveAddress));
  return createClient({ cluster_id: clusterId, replica_addresses: resolved });
}

async function resolveAddress(address: string): Promise<string> {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon);
  if (colon <= 0 || isIP(host) !== 0) return address;
  const found = await lookup(host, { family: 4 });
  return `${found.address}:${address.slice(colon + 1)}`;
}

async function selfHealing(open: () => Promise<Client>): Promise<Client> {
  let current = await open();
  let reopening: Promise<Client> | undefined;
  let inFlight = 0;
  /** True once no more requests are taken. */
  let closing = false;
  let closed = false;
  let late: NodeJS.Timeout | undefined;

  // An evicted client has ended by itself; to destroy it again would end the process.
  const reopen = (evicted: Client): Promise<Client> => {
    if (current !== evicted) return Promise.resolve(current);
    reopening ??= open()
      .then((client) => {
        current = client;
        if (closed) client.destroy();
        return client;
      })
      .finally(() => {
        reopening = undefined;
      });
    return reopening;
  };

  const close = () => {
    if (closed) return;
    closed = true;
    clearTimeout(late);
    if (reopening === undefined) current.destroy();
  };

  const call = async <T>(request: (client: Client) => Promise<T>): Promise<T> => {
    if (closing) throw new RequestError(ErrorCodes.ERR_CLIENT_CLOSED);
    inFlight += 1;
    try {
      let client = current;
      for (let attempt = 0; ; attempt += 1) {
        try {
          return await request(client);
        } catch (error) {
          if (!isEviction(error) || attempt === reopenMax || closing) throw error;
          client = await reopen(client).catch((cause) => {
            // Nothing is wrong with the request: whoever asked hears that the session is lost, and may try again.
            throw Object.assign(error, { cause });
          });
        }
      }
    } finally {
      inFlight -= 1;
      if (closing && inFlight === 0) close();
    }
  };

  return {
    createAccounts: (batch) => call((client) => client.createAccounts(batch)),
    createTransfers: (batch) => call((client) => client.createTransfers(batch)),
    lookupAccounts: (batch) => call((client) => client.lookupAccounts(batch)),
    lookupTransfers: (batch) => call((client) => client.lookupTransfers(batch)),
    getAccountTransfers: (filter) => call((client) => client.getAccountTransfers(filter)),
    getAccountBalances: (filter) => call((client) => client.getAccountBalances(filter)),
    queryAccounts: (filter) => call((client) => client.queryAccounts(filter)),
    queryTransfers: (filter) => call((client) => client.queryTransfers(filter)),
    destroy: () => {
      closing = true;
      if (inFlight === 0) close();
      else late ??= setTimeout(close, lastAnswersMs);
    },
  };
}

/** The first request learns that the client was evicted; those behind it, only that it is closed. */
function isEviction(error: unknown): error is Error {
  if (!(error instanceof Error) || !("code" in error)) return false;
  return error.code === "ERR_CLIENT_EVICTED" || error.code === "ERR_CLIENT_CLOSED";
}

function guardImported(client: EngineClient): EngineClient {
  return {
    ...client,
    createAccounts: async (batch) => {
      refuseImported(batch, AccountFlags.imported);
      return client.createAccounts(batch);
    },
    createTransfers: async (batch) => {
      refuseImported(batch, TransferFlags.imported);
      return client.createTransfers(batch);
    },
  };
}

function refuseImported(batch: readonly { readonly flags: number }[], imported: number): void {
  if (batch.some((event) => (event.flags & imported) !== 0)) {
    throw new Error("the flag `imported` is refused on every engine of the mesh");
  }
}
