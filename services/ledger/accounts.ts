import { DomainError, invalidField } from "#common/domain-error.ts";
import { accountType } from "#common/ledger/account.ts";
import { findAsset } from "#common/ledger/assets.ts";
import type { AccountType } from "#common/ledger/chart.ts";
import type { AccountRecord, Range } from "#common/ledger/reader.ts";
import { everyone } from "#common/ledger/visibility.ts";
import { walletAccountId, walletAccountIds } from "#common/ledger/wallet-account.ts";
import type { List } from "#common/wire/page-token.ts";
import type { LedgerView } from "./ledger.ts";
import { formatPageToken, type Page, type PageRequest, placeOf } from "./page.ts";
import { scan } from "./scan.ts";

/** Names an account: by its id, or by wallet (EIP-55) and ledger. */
export type AccountSelector =
  | { readonly accountId: bigint }
  | { readonly wallet: string; readonly ledger: number };

/** Which accounts to list; what is undefined does not matter. */
export interface AccountFilter {
  readonly code: number | undefined;
  /** EIP-55. */
  readonly wallet: string | undefined;
  readonly type: AccountType | undefined;
}

/** Reads an account. Throws ACCOUNT_NOT_FOUND. */
export async function getAccount(
  view: LedgerView,
  selector: AccountSelector,
): Promise<AccountRecord> {
  const [account] = await findAccounts(view, [selector]);
  if (account === undefined) throw accountNotFound(selector);
  return account;
}

/**
 * Reads accounts in the order of their selectors. Throws ACCOUNT_NOT_FOUND for the first that does not exist or is
 * not the caller's to see; with `instant`, nanoseconds, also for one that was opened later.
 */
export async function findAccounts(
  view: LedgerView,
  selectors: readonly AccountSelector[],
  instant?: bigint,
): Promise<AccountRecord[]> {
  const ids = selectors.map(accountIdOf);
  const found = await view.reader.findAccounts(ids.filter((id) => view.viewer.sees(id)));
  return selectors.map((selector, index) => {
    const account = found.get(ids[index] ?? 0n);
    const exists = account !== undefined && (instant === undefined || account.timestamp <= instant);
    if (!exists) throw accountNotFound(selector);
    return account;
  });
}

function accountIdOf(selector: AccountSelector): bigint {
  return "accountId" in selector
    ? selector.accountId
    : walletAccountId(selector.wallet, selector.ledger);
}

function accountNotFound(selector: AccountSelector): DomainError<"ACCOUNT_NOT_FOUND"> {
  if ("accountId" in selector) {
    const accountId = selector.accountId.toString();
    return new DomainError("ACCOUNT_NOT_FOUND", `there is no account ${accountId}`, {
      metadata: { accountId },
    });
  }
  const { wallet, ledger } = selector;
  const asset = findAsset(ledger)?.code ?? `ledger ${ledger}`;
  return new DomainError("ACCOUNT_NOT_FOUND", `wallet ${wallet} has no account in ${asset}`, {
    metadata: { wallet, ledger: ledger.toString() },
  });
}

/** Throws INVALID_FIELD unless an asset has this number. */
export function checkLedger(ledger: number, field: string): void {
  if (findAsset(ledger) === undefined) {
    throw invalidField(field, "asset.known", `there is no asset ${ledger}`);
  }
}

/** Lists accounts in the order in which they were opened. Throws INVALID_FIELD. */
export async function listAccounts(
  view: LedgerView,
  filter: AccountFilter,
  page: PageRequest,
): Promise<Page<AccountRecord>> {
  const list: List = ["accounts", filter.code, filter.wallet, filter.type];
  const place = await placeOf(view, list, page);
  const { items, next } = await scan<AccountRecord, AccountRecord>({
    place,
    wanted: page.pageSize,
    rowsMax: view.reader.rowsMax,
    read: accountSource(view, filter),
    pick: (accounts) =>
      accounts.filter(
        (account) =>
          (filter.code === undefined || account.code === filter.code) &&
          (filter.type === undefined || accountType(account) === filter.type),
      ),
  });
  const nextPageToken = next === undefined ? "" : formatPageToken(view, list, next);
  return { items, nextPageToken };
}

/** A wallet has at most one account in each asset: these are looked up, everything else is scanned. */
function accountSource(
  view: LedgerView,
  filter: AccountFilter,
): (range: Range) => Promise<AccountRecord[]> {
  const wallet = filter.wallet ?? view.viewer.wallet;
  // A merchant owns no account.
  if (wallet === undefined && view.viewer !== everyone) return async () => [];
  if (wallet === undefined) {
    const which = filter.code === undefined ? "any" : { code: filter.code };
    return (range) => view.reader.listAccounts(which, range);
  }
  const ids = walletAccountIds(wallet).filter((id) => view.viewer.sees(id));
  return async (range) => {
    const found = await view.reader.findAccounts(ids);
    return [...found.values()]
      .filter((account) => account.timestamp >= range.from && account.timestamp <= range.to)
      .sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1))
      .slice(0, range.limit);
  };
}
