import { type Account, AccountFilterFlags, AccountFlags } from "tigerbeetle-node";
import { raceDeadline } from "#common/deadline.ts";
import { DomainError } from "#common/domain-error.ts";
import type { ReadOnlyClient } from "#common/tigerbeetle/read-only-client.ts";
import { everythingIn, parseTransfer } from "#common/tigerbeetle/transfer-codec.ts";
import type { LedgerAccount, LedgerReads } from "../read/event.ts";

export interface LedgerReadsOptions {
  readonly client: ReadOnlyClient;
  /** The most rows of one answer. */
  readonly batchMax: number;
  /** How long a request may take, in milliseconds. */
  readonly timeoutMs: number;
  /** The most requests under way at once; TigerBeetle's client keeps those that it gets no answer to. */
  readonly requestsMax: number;
  /** Hears of every answer. */
  readonly onAnswer?: () => void;
}

/** Reads events from a ledger. */
export function createLedgerReads(options: LedgerReadsOptions): LedgerReads {
  const { client } = options;
  const ask = limitRequests(options);
  return {
    rowsMax: options.batchMax,
    clusterTime: () => ask(() => client.clusterTime()),
    async transfersFrom(timestampMin, limit) {
      const filter = everythingIn({ timestampMin, timestampMax: 0n, limit, reversed: false });
      return (await ask(() => client.queryTransfers(filter))).map(parseTransfer);
    },
    async transfersBackFrom(timestampMax, limit) {
      const filter = everythingIn({ timestampMin: 0n, timestampMax, limit, reversed: true });
      return (await ask(() => client.queryTransfers(filter))).map(parseTransfer);
    },
    async accountsFrom(timestampMin, limit) {
      const filter = everythingIn({ timestampMin, timestampMax: 0n, limit, reversed: false });
      return (await ask(() => client.queryAccounts(filter))).map(parseAccount);
    },
    async transfersOfAccount(accountId, timestampMin, timestampMax, limit) {
      const rows = await ask(() =>
        client.getAccountTransfers({
          account_id: accountId,
          user_data_128: 0n,
          user_data_64: 0n,
          user_data_32: 0,
          code: 0,
          timestamp_min: timestampMin,
          timestamp_max: timestampMax,
          limit,
          flags: AccountFilterFlags.debits | AccountFilterFlags.credits,
        }),
      );
      return rows.map(parseTransfer);
    },
    async transfersById(ids) {
      return (await ask(() => client.lookupTransfers([...ids]))).map(parseTransfer);
    },
    async accountsById(ids) {
      return (await ask(() => client.lookupAccounts([...ids]))).map(parseAccount);
    },
  };
}

/** Bounds requests in number and time. */
function limitRequests(options: LedgerReadsOptions) {
  let underWay = 0;
  return async <T>(request: () => Promise<T>): Promise<T> => {
    if (underWay >= options.requestsMax) throw unavailable("the ledger answers too slowly");
    underWay += 1;
    const answer = request().finally(() => {
      underWay -= 1;
    });
    const deadlineMs = Date.now() + options.timeoutMs;
    try {
      const result = await raceDeadline(answer, { deadlineMs }, () =>
        unavailable("the ledger does not answer"),
      );
      options.onAnswer?.();
      return result;
    } catch (error) {
      if (error instanceof DomainError) throw error;
      throw unavailable("the ledger cannot be read", error);
    }
  };
}

function unavailable(message: string, cause?: unknown): DomainError<"LEDGER_UNAVAILABLE"> {
  return new DomainError("LEDGER_UNAVAILABLE", message, { cause, retryAfterMs: 500 });
}

function parseAccount(row: Account): LedgerAccount {
  return {
    id: row.id,
    ledger: row.ledger,
    code: row.code,
    userData128: row.user_data_128,
    userData32: row.user_data_32,
    closed: (row.flags & AccountFlags.closed) !== 0,
    debitsPosted: row.debits_posted,
    creditsPosted: row.credits_posted,
    debitsPending: row.debits_pending,
    creditsPending: row.credits_pending,
    timestamp: row.timestamp,
  };
}
