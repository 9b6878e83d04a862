import type { AccountType } from "#common/chart.ts";
import { invalidField } from "#common/domain-error.ts";
import { type AccountSelector, accountType, findAccounts } from "./accounts.ts";
import type { LedgerView } from "./ledger.ts";
import type { AccountRecord, BalanceRecord, LedgerReader } from "./ledger-reader.ts";

/** The four sums of an account at one instant, minor units. */
export interface Sums {
  readonly debitsPosted: bigint;
  readonly creditsPosted: bigint;
  readonly debitsPending: bigint;
  readonly creditsPending: bigint;
}

/** What an account holds at one instant. */
export interface Balance extends Sums {
  readonly account: AccountRecord;
  /** On the account's normal side; may be negative. */
  readonly posted: bigint;
  readonly pendingIn: bigint;
  readonly pendingOut: bigint;
  /** posted − pendingOut; may be negative. */
  readonly available: bigint;
  /** Nanoseconds. */
  readonly asOf: bigint;
}

/**
 * Reads balances as of one instant, nanoseconds, undefined meaning now, in the order of the selectors.
 * Throws ACCOUNT_NOT_FOUND for the first account that did not exist then, INVALID_FIELD for an instant in the future.
 */
export async function getBalances(
  view: LedgerView,
  selectors: readonly AccountSelector[],
  asOf: bigint | undefined,
): Promise<Balance[]> {
  const instant = await instantOf(view, asOf);
  const accounts = await findAccounts(view, selectors, instant);
  const sums = await sumsAt(view, accounts, instant);
  return accounts.map((account, index) => balanceOf(account, sums[index] ?? zero, instant));
}

/** The instant to read at: never one whose past may still change. Throws INVALID_FIELD. */
export async function instantOf(view: LedgerView, asOf: bigint | undefined): Promise<bigint> {
  const now = await view.reader.clusterTime();
  if (asOf !== undefined && asOf > now) {
    throw invalidField("as_of_time", "time.future", "must not lie in the future");
  }
  return asOf ?? now;
}

const zero: Sums = {
  debitsPosted: 0n,
  creditsPosted: 0n,
  debitsPending: 0n,
  creditsPending: 0n,
};

/** How many accounts are asked about at once: enough to fill the engine's requests, few enough to answer in time. */
const accountsMax = 512;
/** How many accounts' reservations are looked for at once. Each may take a few thousand rows of memory. */
const searchesMax = 64;

/**
 * The sums of accounts that existed at an instant, in their order. Posted sums are those of the account's last
 * history row; one row for each account costs the engine little, because its client asks for many at once.
 */
export async function sumsAt(
  view: Pick<LedgerView, "reader" | "reservations">,
  accounts: readonly AccountRecord[],
  instant: bigint,
): Promise<Sums[]> {
  const { reader, reservations } = view;
  const rows = await mapInGroups(accounts, accountsMax, ({ id }) => lastRow(reader, id, instant));
  const reserved = rows.flatMap((row, index) => {
    const account = accounts[index];
    const holds = row !== undefined && (row.debitsPending > 0n || row.creditsPending > 0n);
    return holds && account !== undefined ? [{ accountId: account.id, row }] : [];
  });
  const pending = await mapInGroups(reserved, searchesMax, ({ accountId, row }) =>
    reservations.pendingAt(reader, accountId, row, instant),
  );
  const byRow = new Map(reserved.map(({ row }, index) => [row, pending[index]]));
  return rows.map((row) => {
    if (row === undefined) return zero;
    const { debits = 0n, credits = 0n } = byRow.get(row) ?? {};
    return { ...row, debitsPending: debits, creditsPending: credits };
  });
}

async function mapInGroups<Item, Result>(
  items: readonly Item[],
  groupMax: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let first = 0; first < items.length; first += groupMax) {
    results.push(...(await Promise.all(items.slice(first, first + groupMax).map(work))));
  }
  return results;
}

/** The posted balance of an account on its normal side at an instant, nanoseconds; 0 before its first transfer. */
export async function postedAt(
  reader: LedgerReader,
  account: AccountRecord,
  instant: bigint,
): Promise<bigint> {
  return postedOf(accountType(account), (await lastRow(reader, account.id, instant)) ?? zero);
}

async function lastRow(
  reader: LedgerReader,
  accountId: bigint,
  instant: bigint,
): Promise<BalanceRecord | undefined> {
  const [row] = await reader.newestBalances(accountId, { from: 1n, to: instant, limit: 1 });
  return row;
}

function postedOf(type: AccountType, sums: Sums): bigint {
  return type === "ASSET"
    ? sums.debitsPosted - sums.creditsPosted
    : sums.creditsPosted - sums.debitsPosted;
}

function balanceOf(account: AccountRecord, sums: Sums, asOf: bigint): Balance {
  const { debitsPosted, creditsPosted, debitsPending, creditsPending } = sums;
  const type = accountType(account);
  const posted = postedOf(type, sums);
  const pendingOut = type === "ASSET" ? creditsPending : debitsPending;
  return {
    account,
    debitsPosted,
    creditsPosted,
    debitsPending,
    creditsPending,
    posted,
    pendingIn: type === "ASSET" ? debitsPending : creditsPending,
    pendingOut,
    available: posted - pendingOut,
    asOf,
  };
}
