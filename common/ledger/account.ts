import { type AccountType, classOfCode, classRules, findChartAccount } from "./chart.ts";
import type { AccountRecord } from "./reader.ts";

/** The name of an account: from the chart, or that of its wallet. */
export function accountName(account: Pick<AccountRecord, "id" | "wallet">): string {
  const listed = findChartAccount(account.id)?.name;
  if (listed !== undefined) return listed;
  return account.wallet === "" ? `ACCOUNT ${account.id}` : `WALLET ${account.wallet}`;
}

/** The side on which an account's balance normally stands. A class that nobody declared counts as an asset. */
export function accountType(account: Pick<AccountRecord, "code">): AccountType {
  const accountClass = classOfCode(account.code);
  return accountClass === undefined ? "ASSET" : classRules[accountClass].type;
}
