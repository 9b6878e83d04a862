import { zeroWallet } from "#common/address.ts";
import {
  type AccountClass,
  accountClasses,
  classRules,
  findChartAccount,
} from "#common/ledger/chart.ts";
import {
  isWalletAccountId,
  walletAccountId,
  walletOfUserData,
} from "#common/ledger/wallet-account.ts";
import type { Finding } from "./finding.ts";
import type { AccountRow } from "./ports.ts";

/** Whether an account is one that Clearing creates, and as Clearing creates it. */
export function checkAccount(account: AccountRow): Finding | undefined {
  const accountId = account.id;
  const chartAccount = findChartAccount(accountId);
  if (chartAccount !== undefined) {
    const owned = account.userData128 !== 0n || account.userData32 !== 0;
    const differs = [
      ...shapeDifferences(account, chartAccount.class),
      ...(account.ledger === chartAccount.ledger ? [] : [`its ledger is ${account.ledger}`]),
      ...(owned ? ["it names a wallet"] : []),
    ];
    if (differs.length === 0) return undefined;
    const detail = `${chartAccount.name} is not as the chart has it: ${differs.join(", ")}`;
    return { kind: "ACCOUNT_ALTERED", detail, accountId };
  }
  const wallet = walletOfUserData(account);
  const isWallet = isWalletAccountId(accountId) && wallet !== zeroWallet;
  if (!isWallet || walletAccountId(wallet, account.ledger) !== accountId) {
    const detail = `account ${accountId} (ledger ${account.ledger}, code ${account.code}) is neither in the chart nor a wallet's`;
    return { kind: "ACCOUNT_UNKNOWN", detail, accountId };
  }
  const differs = shapeDifferences(account, "WALLET");
  if (differs.length === 0) return undefined;
  const detail = `the account of wallet ${wallet} is not as Clearing opens it: ${differs.join(", ")}`;
  return { kind: "ACCOUNT_ALTERED", detail, accountId };
}

function shapeDifferences(account: AccountRow, accountClass: AccountClass): string[] {
  const { neverOverdrawn } = classRules[accountClass];
  return [
    ...(account.code === accountClasses[accountClass] ? [] : [`its code is ${account.code}`]),
    ...(account.neverOverdrawn === neverOverdrawn
      ? []
      : [account.neverOverdrawn ? "it may not be overdrawn" : "it may be overdrawn"]),
    ...(account.history ? [] : ["it keeps no history"]),
    ...(account.userData64 === 0n ? [] : ["its user_data_64 is not 0"]),
    ...(account.foreignFlags === 0 ? [] : [`it has the foreign flags ${account.foreignFlags}`]),
  ];
}
