import {
  type Account,
  type AccountBalance,
  type AccountFilter,
  AccountFilterFlags,
  AccountFlags,
  type QueryFilter,
} from "tigerbeetle-node";
import { raceDeadline } from "#common/deadline.ts";
import { DomainError } from "#common/domain-error.ts";
import { type Dependency, watchDependency } from "#common/rpc/health.ts";
import type { ReadOnlyClient } from "#common/tigerbeetle/read-only-client.ts";
import { parseTransfer } from "#common/tigerbeetle/transfer-codec.ts";
import type {
  AccountPredicate,
  AccountRecord,
  BalanceRecord,
  LedgerReader,
  Range,
  TransferPredicate,
} from "../reader.ts";
import { isWalletAccountId, walletOfUserData } from "../wallet-account.ts";

export interface LedgerEngineOptions {
  /** The most rows of one request. */
  readonly batchMax: number;
  /** How long one read may take before the engine counts as silent, in milliseconds. */
  readonly readTimeoutMs?: number;
  /** The most reads that may wait for the engine at once; above, calls are refused instead of queued. */
  readonly waitingMax?: number;
}

/** The engine as a service reads it: a reader for each call, and what readiness asks. */
export interface LedgerEngine {
  reader(signal: AbortSignal): LedgerReader;
  readonly dependency: Dependency;
}

// Far longer than a view change of the cluster's primary in the usual case, shorter than callers wait.
const readTimeoutMsDefault = 4_000;
// A silent engine's client keeps every request for ever; a trial balance alone asks for 8189 rows at once.
const waitingMaxDefault = 65_536;

/** Wraps the client. It is shared by all calls of the process, whose requests it batches. */
export function createLedgerEngine(
  client: ReadOnlyClient,
  options: LedgerEngineOptions,
): LedgerEngine {
  const { batchMax, readTimeoutMs = readTimeoutMsDefault } = options;
  const waitingMax = options.waitingMax ?? waitingMaxDefault;
  const { dependency, onSuccess } = watchDependency("ledger", (signal) =>
    ask(signal, () => client.clusterTime()),
  );
  let waiting = 0;

  async function ask<T>(signal: AbortSignal, request: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (waiting >= waitingMax) throw unavailable();
    waiting += 1;
    const answer = request().finally(() => {
      waiting -= 1;
    });
    try {
      const limit = { deadlineMs: Date.now() + readTimeoutMs, signal };
      const result = await raceDeadline(answer, limit, () =>
        signal.aborted && signal.reason instanceof Error ? signal.reason : unavailable(),
      );
      onSuccess();
      return result;
    } catch (error) {
      throw isAway(error) ? unavailable(error) : error;
    }
  }

  return {
    reader: (signal) => createReader(client, batchMax, (request) => ask(signal, request)),
    dependency,
  };
}

/** What the engines throw when they cannot answer now; anything else is a fault of ours and passes. */
const away = /^ERR_(CLIENT_|EMBEDDED_(BUSY|DISK_FULL|IO|STOPPED)$)/;

function isAway(error: unknown): boolean {
  return error instanceof Error && "code" in error && away.test(String(error.code));
}

function unavailable(cause?: unknown): DomainError<"LEDGER_UNAVAILABLE"> {
  return new DomainError("LEDGER_UNAVAILABLE", "the ledger does not answer", {
    cause,
    retryAfterMs: 1_000,
  });
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
    async listTransfers(which, range) {
      if (isEmpty(range)) return [];
      const rows =
        typeof which === "object" && "accountId" in which
          ? await ask(() => client.getAccountTransfers(accountFilter(which.accountId, range)))
          : await ask(() => client.queryTransfers(queryFilter(which, range)));
      return rows.map(parseTransfer);
    },
    async newestTransfers(accountId, range) {
      if (isEmpty(range)) return [];
      const filter = accountFilter(accountId, range, AccountFilterFlags.reversed);
      return (await ask(() => client.getAccountTransfers(filter))).map(parseTransfer);
    },
    async newestBalances(accountId, range) {
      if (isEmpty(range)) return [];
      const filter = accountFilter(accountId, range, AccountFilterFlags.reversed);
      return (await ask(() => client.getAccountBalances(filter))).map(balanceRecord);
    },
  };
}

/** To the engine a bound of 0 means none, and crossed bounds are an invalid filter. */
function isEmpty(range: Range): boolean {
  return range.to < 1n || range.from > range.to;
}

function queryFilter(
  which: AccountPredicate | Exclude<TransferPredicate, { accountId: bigint }>,
  range: Range,
): QueryFilter {
  return {
    user_data_128: 0n,
    user_data_64: 0n,
    user_data_32: 0,
    ledger: typeof which === "object" && "ledger" in which ? which.ledger : 0,
    code: typeof which === "object" && "code" in which ? which.code : 0,
    timestamp_min: range.from,
    timestamp_max: range.to,
    limit: range.limit,
    flags: 0,
  };
}

function accountFilter(accountId: bigint, range: Range, flags = 0): AccountFilter {
  return {
    account_id: accountId,
    user_data_128: 0n,
    user_data_64: 0n,
    user_data_32: 0,
    code: 0,
    timestamp_min: range.from,
    timestamp_max: range.to,
    limit: range.limit,
    flags: AccountFilterFlags.debits | AccountFilterFlags.credits | flags,
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
