import { findChartAccount, walletIdsFrom } from "#common/ledger/chart.ts";
import { usd } from "../currency.ts";
import { walletAccountId } from "../wallet/ids.ts";
import { shorten } from "./copyable.tsx";

/** What an account is called for a wallet (EIP-55), or for a person. `accountId`: a u128 as a decimal string. */
export function accountName(accountId: string, viewer: string | undefined): string {
  const id = BigInt(accountId);
  if (viewer !== undefined && id === walletAccountId(viewer, usd)) return "Your wallet";
  if (id >= walletIdsFrom) return `Wallet account ${shorten(accountId)}`;
  return findChartAccount(id)?.name ?? `Account ${accountId}`;
}

/** What an account of the chart is for, where that needs saying. */
export function accountSays(accountId: string): string | undefined {
  const account = findChartAccount(BigInt(accountId));
  switch (account?.class) {
    case "OBLIGATION":
      return `what the shop owes in ${account.name.split("_")[0]?.toLowerCase()}`;
    case "CASH":
      return "the bank";
    default:
      return undefined;
  }
}
