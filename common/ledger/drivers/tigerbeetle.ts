import {
  type Account,
  type AccountBalance,
  type AccountFilter,
  AccountFilterFlags,
  AccountFlags,
  type QueryFilter,
  QueryFilterFlags,
  type Transfer,
} from "tigerbeetle-node";
import { raceDeadline } from "#common/deadline.ts";
import { isLedgerAway, ledgerUnavailable } from "#common/tigerbeetle/ledger-away.ts";
import { type LedgerLine, unwatchedLine } from "#common/tigerbeetle/ledger-breaker.ts";
import type { ReadOnlyClient } from "#common/tigerbeetle/read-only-client.ts";
import { parseTransfer } from "#common/tigerbeetle/transfer-codec.ts";
import {
  type AccountPredicate,
  type AccountRecord,
  type BalanceRecord,
  endOfTime,
  type LedgerReader,
  type Range,
  type TransferPredicate,
} from "../reader.ts";
import { isWalletAccountId, walletOfUserData } from "../wallet-account.ts";

export interface LedgerReaderOptions {
  /** The most rows of one request. */
  readonly batchMax: number;
  /** How long one read may take before the ledger counts as silent, in milliseconds. */
  readonly readTimeoutMs: number;
  /**
   * The most reads that may wait for the ledger at once; above, calls are refused instead of queued. A silent
   * ledger's client keeps every request for ever.
   */
  readonly waitingMax: number;
  /** When to come back to a ledger that is away, in milliseconds. */
  readonly retryAfterMs: number;
  /** Hears of every answer. */
  readonly onAnswer?: () => void;
  /** The client's; without one, every read waits for as long as it may. */
  readonly line?: Pick<LedgerLine, "read">;
}

/** Makes the reader of one call, whose reads end when its signal fires. */
export type LedgerReaders = (signal?: AbortSignal) => LedgerReader;

/**
 * The ledger on a client of an engine. The client is shared by all calls of the process, whose requests it batches;
 * `waitingMax` holds for all readers together.
 */
export function createLedgerReaders(
  client: ReadOnlyClient,
  options: LedgerReaderOptions,
): LedgerReaders {
  const {
    batchMax,
    readTimeoutMs,
    waitingMax,
    retryAfterMs,
    onAnswer,
    line = unwatchedLine,
  } = options;
  let waiting = 0;

  async function ask<T>(signal: AbortSignal | undefined, request: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    if (waiting >= waitingMax) throw ledgerUnavailable(retryAfterMs);
    waiting += 1;
    const answer = line.read(request).finally(() => {
      waiting -= 1;
    });
    const late = () =>
      signal?.aborted && signal.reason instanceof Error
        ? signal.reason
        : ledgerUnavailable(retryAfterMs);
    try {
      const result = await raceDeadline(
        answer,
        { deadlineMs: Date.now() + readTimeoutMs, signal },
        late,
      );
      onAnswer?.();
      return result;
    } catch (error) {
      throw isLedgerAway(error) ? ledgerUnavailable(retryAfterMs, error) : error;
    }
  }

  return (signal) => createReader(client, batchMax, (request) => ask(signal, request));
}

type Ask = <T>(request: () => Promise<T>) => Promise<T>;

function createReader(client: ReadOnlyClient, batchMax: number, ask: Ask): LedgerReader {
  async function byId<Row extends { id: bigint }>(
    ids: readonly bigint[],
    lookup: (ids: bigint[]) => Promise<Row[]>,
  ): Promise<Row[]> {
    const parts: Promise<Row[]>[] = [];
    for (let first = 0; first < ids.length; first += batchMax) {
      parts.push(ask(() => lookup(ids.slice(first, first + batchMax))));
    }
    return (await Promise.all(parts)).flat();
  }

  return {
    rowsMax: batchMax,
    clusterTime: () => ask(() => client.clusterTime()),
    async findAccounts(ids) {
      const accounts = await byId(ids, (part) => client.lookupAccounts(part));
      return new Map(accounts.map((account) => [account.id, accountRecord(account)]));
    },
    async findTransfers(ids) {
      const transfers = await byId(ids, (part) => client.lookupTransfers(part));
      return new Map(transfers.map((transfer) => [transfer.id, parseTransfer(transfer)]));
    },
    async listAccounts(which, range) {
      if (isEmpty(range)) return [];
      return (await ask(() => client.queryAccounts(queryFilter(which, range)))).map(accountRecord);
    },
    async newestAccounts(range) {
      if (isEmpty(range)) return [];
      const filter = queryFilter("any", range, newestFirst);
      return (await ask(() => client.queryAccounts(filter))).map(accountRecord);
    },
    async listTransfers(which, range) {
      if (isEmpty(range)) return [];
      return (await ask(() => queryTransfers(client, which, range))).map(parseTransfer);
    },
    async newestTransfers(which, range) {
      if (isEmpty(range)) return [];
      return (await ask(() => queryTransfers(client, which, range, newestFirst))).map(
        parseTransfer,
      );
    },
    async newestBalances(accountId, range) {
      if (isEmpty(range)) return [];
      const filter = accountFilter(accountId, range, newestFirst);
      return (await ask(() => client.getAccountBalances(filter))).map(balanceRecord);
    },
  };
}

/** To the engine a bound of 0 means none, and crossed bounds are an invalid filter. */
function isEmpty(range: Range): boolean {
  return range.to < 1n || range.from > range.to;
}

interface Direction {
  readonly reversed: boolean;
}

const oldestFirst: Direction = { reversed: false };
const newestFirst: Direction = { reversed: true };

function queryTransfers(
  client: ReadOnlyClient,
  which: TransferPredicate,
  range: Range,
  direction = oldestFirst,
): Promise<Transfer[]> {
  return typeof which === "object" && "accountId" in which
    ? client.getAccountTransfers(accountFilter(which.accountId, range, direction))
    : client.queryTransfers(queryFilter(which, range, direction));
}

function queryFilter(
  which: AccountPredicate | Exclude<TransferPredicate, { accountId: bigint }>,
  range: Range,
  direction = oldestFirst,
): QueryFilter {
  return {
    user_data_128: 0n,
    user_data_64: 0n,
    user_data_32: 0,
    ledger: typeof which === "object" && "ledger" in which ? which.ledger : 0,
    code: typeof which === "object" && "code" in which ? which.code : 0,
    ...boundsOf(range),
    flags: direction.reversed ? QueryFilterFlags.reversed : QueryFilterFlags.none,
  };
}

function accountFilter(accountId: bigint, range: Range, { reversed }: Direction): AccountFilter {
  return {
    account_id: accountId,
    user_data_128: 0n,
    user_data_64: 0n,
    user_data_32: 0,
    code: 0,
    ...boundsOf(range),
    flags:
      AccountFilterFlags.debits |
      AccountFilterFlags.credits |
      (reversed ? AccountFilterFlags.reversed : 0),
  };
}

function boundsOf(range: Range) {
  return {
    timestamp_min: range.from,
    timestamp_max: range.to === endOfTime ? 0n : range.to,
    limit: range.limit,
  };
}

function accountRecord(account: Account): AccountRecord {
  const wallet = isWalletAccountId(account.id)
    ? walletOfUserData({ userData128: account.user_data_128, userData32: account.user_data_32 })
    : "";
  return {
    id: account.id,
    ledger: account.ledger,
    code: account.code,
    wallet,
    closed: (account.flags & AccountFlags.closed) !== 0,
    timestamp: account.timestamp,
  };
}

function balanceRecord(balance: AccountBalance): BalanceRecord {
  return {
    timestamp: balance.timestamp,
    debitsPosted: balance.debits_posted,
    creditsPosted: balance.credits_posted,
    debitsPending: balance.debits_pending,
    creditsPending: balance.credits_pending,
  };
}
