import { assets } from "#common/ledger/assets.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";

/** What a caller may see. */
export interface Viewer {
  /** The wallet that it is bound to, EIP-55; undefined sees everything. */
  readonly wallet: string | undefined;
  /** True if the account is the caller's to see. */
  sees(accountId: bigint): boolean;
}

/** The ids of a wallet's accounts, one for each asset. They may or may not exist. */
export function walletAccountIds(wallet: string): bigint[] {
  return assets.map((asset) => walletAccountId(wallet, asset.ledger));
}

/** The viewer of a credential. */
export function viewerOf(wallet: string | undefined): Viewer {
  if (wallet === undefined) return { wallet, sees: () => true };
  const own = new Set(walletAccountIds(wallet));
  return { wallet, sees: (accountId) => own.has(accountId) };
}
