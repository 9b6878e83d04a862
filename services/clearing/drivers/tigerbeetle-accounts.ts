import {
  type Account,
  AccountFlags,
  type CreateAccountResult,
  CreateAccountStatus,
} from "tigerbeetle-node";
import {
  isWalletAccountId,
  walletOfUserData,
  walletUserData,
} from "#common/ledger/wallet-account.ts";
import type { LedgerAccount, NewAccount, OpenOutcome } from "../core/ports.ts";

/** An account in words of the domain. */
export function toLedgerAccount(row: Account): LedgerAccount {
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

/** The requests that opening accounts takes. */
interface AccountRequests {
  createAccounts(accounts: Account[]): Promise<CreateAccountResult[]>;
  lookupAccounts(ids: bigint[]): Promise<Account[]>;
}

/** Creates accounts, each for itself. An account that differs may only be closed; a lookup tells. */
export async function openAccounts(
  requests: AccountRequests,
  newAccounts: readonly NewAccount[],
): Promise<OpenOutcome[]> {
  const wanted = newAccounts.map(toAccount);
  const results = await requests.createAccounts(wanted);
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
  const byId = new Map((await requests.lookupAccounts(differing)).map((row) => [row.id, row]));
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
