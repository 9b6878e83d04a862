import { walletAccountIds } from "#common/ledger/wallet-account.ts";

/** What a caller may see. */
export interface Viewer {
  /** The wallet that it is bound to, EIP-55; undefined sees everything. */
  readonly wallet: string | undefined;
  /** True if the account is the caller's to see. */
  sees(accountId: bigint): boolean;
}

/** The viewer of a credential. */
export function viewerOf(wallet: string | undefined): Viewer {
  if (wallet === undefined) return { wallet, sees: () => true };
  const own = new Set(walletAccountIds(wallet));
  return { wallet, sees: (accountId) => own.has(accountId) };
}
