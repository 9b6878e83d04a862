import { zeroWallet } from "#common/address.ts";
import { type Caller, requireOwnWallet } from "#common/caller.ts";
import { invalidField } from "#common/domain-error.ts";
import { findAsset } from "#common/ledger/assets.ts";
import { accountClasses, classRules } from "#common/ledger/chart.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import type { AccountDirectory } from "./account-directory.ts";
import type { Attempt } from "./attempt.ts";
import type { ClearingPorts } from "./ports.ts";

/** A wallet's account. */
export interface OpenedWallet {
  /** u128. */
  readonly accountId: bigint;
  /** False: it was there before. */
  readonly opened: boolean;
}

/** What opening a wallet needs. */
export interface WalletPorts extends Pick<ClearingPorts, "ledger" | "announce"> {
  readonly accounts: AccountDirectory;
}

/** Opens a wallet's account in an asset. `wallet`: EIP-55. INVALID_FIELD, SCOPE_MISSING, OUTCOME_UNKNOWN. */
export async function openWallet(
  ports: WalletPorts,
  wallet: string,
  ledger: number,
  caller: Caller,
  attempt: Attempt,
): Promise<OpenedWallet> {
  if (wallet === zeroWallet) {
    throw invalidField("wallet", "wallet.zero", "must not be the zero address");
  }
  if (findAsset(ledger) === undefined) {
    throw invalidField("ledger", "wallet.ledger", `there is no asset ${ledger}`);
  }
  requireOwnWallet(caller, wallet);
  const id = walletAccountId(wallet, ledger);
  const { neverOverdrawn } = classRules.WALLET;
  const account = { id, ledger, code: accountClasses.WALLET, neverOverdrawn, wallet };
  const outcome = await ports.ledger.open(account, attempt);
  if (outcome === "OTHER_CONTENT") throw new Error(`account ${id} is not ${wallet}'s`);
  ports.accounts.add(id, ledger);
  if (outcome === "OPENED") ports.announce();
  return { accountId: id, opened: outcome === "OPENED" };
}
