import { invalidField } from "#common/domain-error.ts";
import { type Balance, balanceOf, postedOf } from "#common/ledger/balance.ts";
import type { AccountRecord, LedgerReader } from "#common/ledger/reader.ts";
import { lastRow, sumsAt, zeroSums } from "#common/ledger/sums-at.ts";
import { type AccountSelector, findAccounts } from "./accounts.ts";
import type { LedgerView } from "./ledger.ts";

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
  return accounts.map((account, index) => balanceOf(account, sums[index] ?? zeroSums, instant));
}

/** The instant to read at: never one whose past may still change. Throws INVALID_FIELD. */
export async function instantOf(view: LedgerView, asOf: bigint | undefined): Promise<bigint> {
  const now = await view.reader.clusterTime();
  if (asOf !== undefined && asOf > now) {
    throw invalidField("as_of_time", "time.future", "must not lie in the future");
  }
  return asOf ?? now;
}

/** The posted balance of an account on its normal side at an instant, nanoseconds; 0 before its first transfer. */
export async function postedAt(
  reader: LedgerReader,
  account: AccountRecord,
  instant: bigint,
): Promise<bigint> {
  return postedOf(account, (await lastRow(reader, account.id, instant)) ?? zeroSums);
}
