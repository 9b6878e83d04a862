import {
  type Account,
  type Client,
  type CreateAccountResult,
  CreateAccountStatus,
  type CreateTransferResult,
  CreateTransferStatus,
  type Transfer,
  TransferFlags,
} from "tigerbeetle-node";
import { DomainError } from "#common/domain-error.ts";
import { type GroupMember, groupCommit } from "#common/group-commit.ts";
import { isDerivedRow, type TransferRow } from "#common/ledger/transfer-rows.ts";
import { isLedgerAway, isLedgerFull, ledgerUnavailable } from "#common/tigerbeetle/ledger-away.ts";
import type { LedgerLine } from "#common/tigerbeetle/ledger-breaker.ts";
import { formatTransfer, parseTransfer } from "#common/tigerbeetle/transfer-codec.ts";
import type { ClearingLedger, Found, NewAccount } from "../core/ports.ts";
import { openAccounts, toLedgerAccount } from "./tigerbeetle-accounts.ts";
import { chainOutcome, fenceOutcome } from "./tigerbeetle-status.ts";

export interface ClearingLedgerOptions {
  /** Writes. A client has one request in flight, so reads have their own. */
  readonly writer: Client;
  readonly reader: Client;
  /** The clients' own. */
  readonly lines: LedgerLines;
  /** The most events in one request: at least 64, so that every chain fits. */
  readonly batchMax: number;
  /** Hears of every request that was answered: how many events it held, and how long it took. */
  readonly onAnswer: OnLedgerAnswer;
  /** Hears of every commit: the timestamp of the newest row that a request has created, nanoseconds. */
  readonly onCommit: (timestamp: bigint) => void;
}

/** May be one and the same, where the clients are. */
export interface LedgerLines {
  readonly writer: LedgerLine;
  readonly reader: LedgerLine;
}

export type LedgerOperation =
  | "create_transfers"
  | "create_accounts"
  | "lookup_transfers"
  | "lookup_accounts";

export type OnLedgerAnswer = (
  operation: LedgerOperation,
  events: number,
  durationMs: number,
) => void;

/** The account that fences debit. Nobody may ever create it; the start looks. */
export const fenceAccountId = 1n;
/** SYSTEM_RESERVE. Any would do: a fence fails before it looks at the credited account. */
const fenceCreditAccountId = 1_000_001n;

const waitingMax = 100_000;
/** TigerBeetle's client takes one request at a time; a second one waits in it and leaves without delay. */
const runningMax = 2;

/** The ledger on TigerBeetle's client, or on the embedded engine behind the same interface. */
export function createClearingLedger(options: ClearingLedgerOptions): ClearingLedger {
  const requests = createLedgerRequests(options);
  const { requireAnswers, onSilence } = options.lines.writer;
  const common = { weightMax: options.batchMax, runningMax, waitingMax };
  const chains = groupCommit({
    ...common,
    weigh: (chain: readonly Transfer[]) => chain.length,
    run: async (group) => splitAt(await requests.createTransfers(group.flat()), group),
    sends: true,
  });
  const find = groupCommit({
    ...common,
    weigh: (rows: readonly TransferRow[]) => rows.length,
    run: async (group) => {
      const ids = new Set(group.flatMap((rows) => rows.map((row) => row.id)));
      const transfers = await requests.lookupTransfers([...ids]);
      const byId = new Map(transfers.map((transfer) => [transfer.id, transfer]));
      return group.map((rows) => compareChain(rows, byId));
    },
  });
  const accounts = groupCommit({
    ...common,
    weigh: (ids: readonly bigint[]) => ids.length,
    run: async (group) => {
      const rows = await requests.lookupAccounts([...new Set(group.flat())]);
      const byId = new Map(rows.map((row) => [row.id, toLedgerAccount(row)]));
      return group.map((ids) => ids.flatMap((id) => byId.get(id) ?? []));
    },
  });
  const open = groupCommit({
    ...common,
    run: (newAccounts: readonly NewAccount[]) => openAccounts(requests, newAccounts),
    sends: true,
  });
  // What stands in a queue was not sent, so all of it may be refused as one that comes now is.
  onSilence((refusal) => {
    for (const { refuseWaiting } of [chains, find, accounts, open]) refuseWaiting(refusal);
  });
  return {
    async write(rows, attempt) {
      requireAnswers();
      return chainOutcome(await unlessRefused(attempt, chains(rows.map(formatTransfer), attempt)));
    },
    async fence(transferId, attempt) {
      requireAnswers();
      const chain = [fenceTransfer(transferId)];
      return fenceOutcome(await unlessRefused(attempt, chains(chain, attempt)));
    },
    find,
    accounts,
    async open(account, attempt) {
      requireAnswers();
      return unlessRefused(attempt, open(account, attempt));
    },
  };
}

/**
 * A transfer that must fail and, failing, burns its id: its debit account does not exist. The amount is 0, so that
 * even then nothing would move.
 */
function fenceTransfer(id: bigint): Transfer {
  return {
    id,
    debit_account_id: fenceAccountId,
    credit_account_id: fenceCreditAccountId,
    amount: 0n,
    pending_id: 0n,
    user_data_128: 0n,
    user_data_64: 0n,
    user_data_32: 0,
    timeout: 0,
    ledger: 1,
    code: 1,
    flags: TransferFlags.none,
    timestamp: 0n,
  };
}

function compareChain(rows: readonly TransferRow[], byId: ReadonlyMap<bigint, Transfer>): Found {
  let present = 0;
  let equal = 0;
  let timestamp = 0n;
  for (const row of rows) {
    const transfer = byId.get(row.id);
    if (transfer === undefined) continue;
    present += 1;
    if (isDerivedRow(parseTransfer(transfer), row)) equal += 1;
    timestamp = transfer.timestamp;
  }
  if (present === 0) return { kind: "NONE" };
  return equal === rows.length ? { kind: "ALL", timestamp } : { kind: "OTHER" };
}

/** The results of a request, chain by chain. */
function splitAt(
  results: readonly CreateTransferResult[],
  chains: readonly (readonly Transfer[])[],
): CreateTransferResult[][] {
  let first = 0;
  return chains.map((chain) => {
    const own = results.slice(first, first + chain.length);
    first += chain.length;
    return own;
  });
}

/** The client's requests. Writes reject with OUTCOME_UNKNOWN if they break off, reads with LEDGER_UNAVAILABLE. */
interface LedgerRequests {
  createTransfers(transfers: Transfer[]): Promise<CreateTransferResult[]>;
  createAccounts(accounts: Account[]): Promise<CreateAccountResult[]>;
  lookupTransfers(ids: bigint[]): Promise<Transfer[]>;
  lookupAccounts(ids: bigint[]): Promise<Account[]>;
}

/** Requests to the ledger, timed. */
function createLedgerRequests(options: ClearingLedgerOptions): LedgerRequests {
  const { writer, reader, lines } = options;
  const timed = async <Answer>(
    operation: LedgerOperation,
    events: number,
    request: () => Promise<Answer>,
  ): Promise<Answer> => {
    const startMs = performance.now();
    const answer = await request();
    options.onAnswer(operation, events, performance.now() - startMs);
    return answer;
  };
  const committed = async <Result extends { readonly timestamp: bigint }>(
    request: Promise<Result[]>,
    isCreated: (result: Result) => boolean,
  ): Promise<Result[]> => {
    const results = await request;
    // A request's rows have ascending timestamps.
    const newest = results.findLast(isCreated);
    if (newest !== undefined) options.onCommit(newest.timestamp);
    return results;
  };
  return {
    createTransfers: (transfers) =>
      timed("create_transfers", transfers.length, () =>
        committed(
          sent(
            resultsOf(
              transfers.length,
              lines.writer.send(() => writer.createTransfers(transfers)),
            ),
          ),
          ({ status }) => status === CreateTransferStatus.created,
        ),
      ),
    createAccounts: (accounts) =>
      timed("create_accounts", accounts.length, () =>
        committed(
          sent(lines.writer.send(() => writer.createAccounts(accounts))),
          ({ status }) => status === CreateAccountStatus.created,
        ),
      ),
    lookupTransfers: (ids) =>
      timed("lookup_transfers", ids.length, () =>
        read(lines.reader, () => reader.lookupTransfers(ids)),
      ),
    lookupAccounts: (ids) =>
      timed("lookup_accounts", ids.length, () =>
        read(lines.reader, () => reader.lookupAccounts(ids)),
      ),
  };
}

/** An answer of another length tells of no event what became of it. */
async function resultsOf<Result>(count: number, request: Promise<Result[]>): Promise<Result[]> {
  const results = await request;
  if (results.length !== count) throw new Error(`${count} events, ${results.length} results`);
  return results;
}

/** A write that breaks after it was handed over may have happened, unless the engine knows that it has not. */
async function sent<T>(request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    throw isLedgerFull(error) ? ledgerUnavailable(500, error) : outcomeUnknown(error);
  }
}

/** A write that is refused with LEDGER_UNAVAILABLE has not happened: as far as its caller may be told, nothing was sent. */
async function unlessRefused<T>(attempt: GroupMember, write: Promise<T>): Promise<T> {
  try {
    return await write;
  } catch (error) {
    const isRefused = error instanceof DomainError && error.kind === "LEDGER_UNAVAILABLE";
    if (isRefused) attempt.sent = false;
    throw error;
  }
}

function outcomeUnknown(cause: unknown): DomainError<"OUTCOME_UNKNOWN"> {
  return new DomainError(
    "OUTCOME_UNKNOWN",
    "the ledger broke off; repeat the same request to learn its outcome",
    { early: true, cause },
  );
}

async function read<T>(line: LedgerLine, request: () => Promise<T>): Promise<T> {
  try {
    return await line.read(request);
  } catch (error) {
    throw isLedgerAway(error) ? ledgerUnavailable(500, error) : error;
  }
}

/** Asks the ledger for a sign of life. */
export async function probeReads(reader: Client): Promise<void> {
  await reader.lookupAccounts([fenceCreditAccountId]);
}
