import {
  type Account,
  AccountFlags,
  type Client,
  CreateAccountStatus,
  type CreateTransferResult,
  CreateTransferStatus,
  type Transfer,
  TransferFlags,
} from "tigerbeetle-node";
import { DomainError } from "#common/domain-error.ts";
import { groupCommit } from "#common/group-commit.ts";
import { isDerivedRow, type TransferRow } from "#common/ledger/transfer-rows.ts";
import {
  isWalletAccountId,
  walletOfUserData,
  walletUserData,
} from "#common/ledger/wallet-account.ts";
import { isLedgerAway, ledgerUnavailable } from "#common/tigerbeetle/ledger-away.ts";
import { formatTransfer, parseTransfer } from "#common/tigerbeetle/transfer-codec.ts";
import type {
  ClearingLedger,
  Found,
  LedgerAccount,
  NewAccount,
  OpenOutcome,
  WriteOutcome,
} from "../core/ports.ts";
import { meaningOf } from "./tigerbeetle-status.ts";

export interface ClearingLedgerOptions {
  /** Writes. A client has one request in flight, so reads have their own. */
  readonly writer: Client;
  readonly reader: Client;
  /** The most events in one request: at least 64, so that every chain fits. */
  readonly batchMax: number;
  /** Hears of every request that was answered: how many events it held, and how long it took. */
  readonly onAnswer: (operation: LedgerOperation, events: number, durationMs: number) => void;
}

export type LedgerOperation =
  | "create_transfers"
  | "create_accounts"
  | "lookup_transfers"
  | "lookup_accounts";

/** The account that fences debit. Nobody may ever create it; the start looks. */
export const fenceAccountId = 1n;
/** SYSTEM_RESERVE. Any would do: a fence fails before it looks at the credited account. */
const fenceCreditAccountId = 1_000_001n;

const waitingMax = 100_000;
/** TigerBeetle's client takes one request at a time; a second one waits in it and leaves without delay. */
const runningMax = 2;

/** The ledger on TigerBeetle's client, or on the embedded engine behind the same interface. */
export function createClearingLedger(options: ClearingLedgerOptions): ClearingLedger {
  const { writer, reader, batchMax } = options;
  const timed = async <T>(
    operation: LedgerOperation,
    events: number,
    request: () => Promise<T>,
  ): Promise<T> => {
    const startMs = performance.now();
    const answer = await request();
    options.onAnswer(operation, events, performance.now() - startMs);
    return answer;
  };
  const common = { weightMax: batchMax, runningMax, waitingMax };
  const chains = groupCommit({
    ...common,
    weigh: (chain: readonly Transfer[]) => chain.length,
    run: async (groupOfChains) => {
      const transfers = groupOfChains.flat();
      const results = await timed("create_transfers", transfers.length, () =>
        sent(writer.createTransfers(transfers)),
      );
      return splitAt(results, groupOfChains);
    },
    sends: true,
  });
  const found = groupCommit({
    ...common,
    weigh: (rows: readonly TransferRow[]) => rows.length,
    run: async (groupOfRows) => {
      const ids = [...new Set(groupOfRows.flatMap((rows) => rows.map((row) => row.id)))];
      const transfers = await timed("lookup_transfers", ids.length, () =>
        read(reader.lookupTransfers(ids)),
      );
      const byId = new Map(transfers.map((transfer) => [transfer.id, transfer]));
      return groupOfRows.map((rows) => compareChain(rows, byId));
    },
  });
  const accounts = groupCommit({
    ...common,
    weigh: (ids: readonly bigint[]) => ids.length,
    run: async (groupOfIds) => {
      const distinct = [...new Set(groupOfIds.flat())];
      const rows = await timed("lookup_accounts", distinct.length, () =>
        read(reader.lookupAccounts(distinct)),
      );
      const byId = new Map(rows.map((row) => [row.id, toLedgerAccount(row)]));
      return groupOfIds.map((ids) => ids.flatMap((id) => byId.get(id) ?? []));
    },
  });
  const opened = groupCommit({
    ...common,
    run: (newAccounts: readonly NewAccount[]) =>
      timed("create_accounts", newAccounts.length, () => openAccounts(writer, reader, newAccounts)),
    sends: true,
  });
  return {
    write: async (rows, attempt) => chainOutcome(await chains(rows.map(formatTransfer), attempt)),
    fence: async (transferId, attempt) =>
      fenceOutcome(await chains([fenceTransfer(transferId)], attempt)),
    find: found,
    accounts,
    open: opened,
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

/**
 * TigerBeetle looks for the id first: a transfer that has it answers `exists_with_different_*`, a burned id
 * `id_already_failed`. Only then it misses the account, and burns the id.
 */
function fenceOutcome([result]: readonly CreateTransferResult[]): "DEAD" | "TAKEN" {
  const meaning = result === undefined ? "FAULT" : meaningOf(result.status);
  if (meaning === "DEBIT_ACCOUNT_NOT_FOUND" || meaning === "ALREADY_FAILED") return "DEAD";
  if (meaning === "OTHER_CONTENT") return "TAKEN";
  throw new Error(`a fence was answered ${statusName(result?.status)}`);
}

function chainOutcome(results: readonly CreateTransferResult[]): WriteOutcome {
  const meanings = results.map(({ status }) => meaningOf(status));
  // In a chain that breaks, only the leg that broke it tells why.
  const leg = meanings.findIndex(
    (meaning) => meaning !== "CREATED" && meaning !== "NEIGHBOUR_FAILED",
  );
  const meaning = meanings[leg];
  const last = results.at(-1);
  switch (meaning) {
    case undefined:
      if (last === undefined || meanings.includes("NEIGHBOUR_FAILED")) {
        throw new Error("a chain broke and no leg says why");
      }
      return { kind: "CREATED", timestamp: last.timestamp };
    case "CREATED":
    case "NEIGHBOUR_FAILED":
      throw new Error("unreachable");
    case "EXISTS":
    case "OTHER_CONTENT":
    case "ALREADY_FAILED":
      return { kind: meaning };
    case "FAULT":
      throw new Error(`leg ${leg} was answered ${statusName(results[leg]?.status)}`);
    default:
      return { kind: "REFUSED", leg, fault: meaning };
  }
}

function statusName(status: CreateTransferStatus | undefined): string {
  return status === undefined ? "nothing" : (CreateTransferStatus[status] ?? String(status));
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
  const split = chains.map((chain) => {
    const own = results.slice(first, first + chain.length);
    first += chain.length;
    return own;
  });
  if (results.length !== first) throw outcomeUnknown(new Error(`${results.length} results`));
  return split;
}

function toLedgerAccount(row: Account): LedgerAccount {
  return {
    id: row.id,
    ledger: row.ledger,
    wallet: isWalletAccountId(row.id)
      ? walletOfUserData({ userData128: row.user_data_128, userData32: row.user_data_32 })
      : undefined,
    available: row.credits_posted - row.debits_posted - row.debits_pending,
    closed: (row.flags & AccountFlags.closed) !== 0,
  };
}

function toAccount(account: NewAccount): Account {
  const owner =
    account.wallet === undefined
      ? { userData128: 0n, userData32: 0 }
      : walletUserData(account.wallet);
  return {
    id: account.id,
    debits_pending: 0n,
    debits_posted: 0n,
    credits_pending: 0n,
    credits_posted: 0n,
    user_data_128: owner.userData128,
    user_data_64: 0n,
    user_data_32: owner.userData32,
    reserved: 0,
    ledger: account.ledger,
    code: account.code,
    flags:
      AccountFlags.history |
      (account.neverOverdrawn ? AccountFlags.debits_must_not_exceed_credits : 0),
    timestamp: 0n,
  };
}

/** Creates accounts, each for itself. An account that differs may only be closed; a lookup tells. */
async function openAccounts(
  writer: Client,
  reader: Client,
  newAccounts: readonly NewAccount[],
): Promise<OpenOutcome[]> {
  const wanted = newAccounts.map(toAccount);
  const results = await sent(writer.createAccounts(wanted));
  const outcomes: OpenOutcome[] = [];
  const differing: bigint[] = [];
  for (const [index, { status }] of results.entries()) {
    if (status === CreateAccountStatus.created) outcomes.push("OPENED");
    else if (status === CreateAccountStatus.exists) outcomes.push("EXISTED");
    else if (CreateAccountStatus[status]?.startsWith("exists_with_different_")) {
      outcomes.push("OTHER_CONTENT");
      differing.push(wanted[index]?.id ?? 0n);
    } else
      throw new Error(`account ${wanted[index]?.id} was answered ${CreateAccountStatus[status]}`);
  }
  if (differing.length === 0) return outcomes;
  const byId = new Map((await read(reader.lookupAccounts(differing))).map((row) => [row.id, row]));
  return outcomes.map((outcome, index) => {
    const row = wanted[index];
    if (outcome !== "OTHER_CONTENT" || row === undefined) return outcome;
    return isClosedForm(byId.get(row.id), row) ? "CLOSED" : outcome;
  });
}

function isClosedForm(stored: Account | undefined, wanted: Account): boolean {
  return (
    stored !== undefined &&
    stored.flags === (wanted.flags | AccountFlags.closed) &&
    stored.ledger === wanted.ledger &&
    stored.code === wanted.code &&
    stored.user_data_128 === wanted.user_data_128 &&
    stored.user_data_64 === wanted.user_data_64 &&
    stored.user_data_32 === wanted.user_data_32
  );
}

/** A write that breaks after it was handed over may have happened. */
async function sent<T>(request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    throw outcomeUnknown(error);
  }
}

function outcomeUnknown(cause: unknown): DomainError<"OUTCOME_UNKNOWN"> {
  return new DomainError(
    "OUTCOME_UNKNOWN",
    "the ledger broke off; repeat the same request to learn its outcome",
    { cause },
  );
}

async function read<T>(request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    throw isLedgerAway(error) ? ledgerUnavailable(500, error) : error;
  }
}

/** Asks the ledger for a sign of life. */
export async function probeTigerBeetle(reader: Client): Promise<void> {
  await reader.lookupAccounts([fenceCreditAccountId]);
}
