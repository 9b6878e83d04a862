import { invalidField } from "#common/domain-error.ts";
import { accountName } from "#common/ledger/account.ts";
import { type Asset, findAsset } from "#common/ledger/assets.ts";
import { accountClasses, chartAccountId, walletClassId } from "#common/ledger/chart.ts";
import type { AccountRecord } from "#common/ledger/reader.ts";
import { type Sums, sumsAt, zeroSums } from "#common/ledger/sums-at.ts";
import { isWalletAccountId } from "#common/ledger/wallet-account.ts";
import { instantOf } from "./balances.ts";
import type { LedgerView } from "./ledger.ts";

/** One account, or all wallets together. */
export interface TrialBalanceLine extends Sums {
  readonly accountId: bigint;
  readonly name: string;
  readonly code: number;
}

/** Every account of an asset, added up as of one instant. */
export interface TrialBalance {
  readonly asset: Asset;
  /** By account id. */
  readonly lines: readonly TrialBalanceLine[];
  readonly totals: Sums;
  readonly accountCount: bigint;
  /** Nanoseconds. */
  readonly asOf: bigint;
}

/**
 * Adds up every account of an asset. Takes time with the number of accounts (some 50 µs each), memory with the
 * size of a page. The contract keeps callers out whose credential is bound. Throws INVALID_FIELD.
 */
export async function getTrialBalance(
  view: LedgerView,
  ledger: number,
  asOf: bigint | undefined,
): Promise<TrialBalance> {
  const { reader } = view;
  const asset = findAsset(ledger);
  if (asset === undefined) {
    throw invalidField("ledger", "asset.known", `there is no asset ${ledger}`);
  }
  const instant = await instantOf(view, asOf);
  const wallets = walletsLine(ledger);
  const lines = new Map([[wallets.accountId, wallets]]);
  let accountCount = 0n;
  for (let from = 1n; ; ) {
    const range = { from, to: instant, limit: reader.rowsMax };
    const accounts = await reader.listAccounts({ ledger }, range);
    const sums = await sumsAt(view, accounts, instant);
    for (const [index, account] of accounts.entries()) {
      const line = lineOf(account, wallets, lines);
      lines.set(line.accountId, { ...line, ...addSums(line, sums[index] ?? zeroSums) });
    }
    accountCount += BigInt(accounts.length);
    if (accounts.length < range.limit) break;
    from = (accounts.at(-1)?.timestamp ?? instant) + 1n;
  }
  const sorted = [...lines.values()].sort((a, b) => (a.accountId < b.accountId ? -1 : 1));
  return {
    asset,
    lines: sorted,
    totals: sorted.reduce(addSums, zeroSums),
    accountCount,
    asOf: instant,
  };
}

function walletsLine(ledger: number): TrialBalanceLine {
  const accountId = chartAccountId(walletClassId, ledger);
  return { accountId, name: "WALLETS", code: accountClasses.WALLET, ...zeroSums };
}

/** The line to which an account adds. */
function lineOf(
  account: AccountRecord,
  wallets: TrialBalanceLine,
  lines: ReadonlyMap<bigint, TrialBalanceLine>,
): TrialBalanceLine {
  const { id, code } = account;
  const accountId = isWalletAccountId(id) ? wallets.accountId : id;
  return lines.get(accountId) ?? { accountId, name: accountName(account), code, ...zeroSums };
}

function addSums(a: Sums, b: Sums): Sums {
  return {
    debitsPosted: a.debitsPosted + b.debitsPosted,
    creditsPosted: a.creditsPosted + b.creditsPosted,
    debitsPending: a.debitsPending + b.debitsPending,
    creditsPending: a.creditsPending + b.creditsPending,
  };
}
