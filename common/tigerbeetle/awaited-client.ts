import { type Client, ErrorCodes, RequestError } from "tigerbeetle-node";
import type { EmbeddedClient } from "#engine/client.ts";
import { EmbeddedLedgerError } from "#engine/errors.ts";

/**
 * A client of a ledger that may not be there yet. Until it is, every request looks for it and fails with
 * ERR_EMBEDDED_MISSING; what else is wrong with it is thrown at once, as by a start that finds it there.
 */
export function awaitedClient(open: () => EmbeddedClient): EmbeddedClient {
  let current = openIfThere(open);
  let closed = false;
  const call = async <T>(request: (client: Client) => Promise<T>): Promise<T> => {
    if (closed) throw new RequestError(ErrorCodes.ERR_CLIENT_CLOSED);
    current ??= open();
    return request(current);
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
    share: () => {
      current ??= open();
      return current.share();
    },
    destroy: () => {
      closed = true;
      current?.destroy();
    },
  };
}

function openIfThere(open: () => EmbeddedClient): EmbeddedClient | undefined {
  try {
    return open();
  } catch (error) {
    if (error instanceof EmbeddedLedgerError && error.code === "ERR_EMBEDDED_MISSING")
      return undefined;
    throw error;
  }
}
