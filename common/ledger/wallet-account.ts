import { hash } from "node:crypto";
import { checksumAddress, walletBytes } from "#common/address.ts";
import { assets } from "./assets.ts";
import { walletIdsFrom } from "./chart.ts";

/** True for the ids of wallet accounts: the upper half of the u128 range. */
export function isWalletAccountId(accountId: bigint): boolean {
  return accountId >= walletIdsFrom;
}

/** What is hashed for an account id. One buffer serves all, because a hash never waits in the middle. */
const idPreimage = Buffer.from(`sovr/wallet/v1${"\0".repeat(20 + 4)}`, "ascii");

/** The id of a wallet's account in one asset: 2^127 | first 127 bits of SHA-256("sovr/wallet/v1" ‖ address ‖ ledger). */
export function walletAccountId(wallet: string, ledger: number): bigint {
  idPreimage.write(wallet.slice(2), 14, 20, "hex");
  idPreimage.writeUInt32BE(ledger, 34);
  const first128 = BigInt(`0x${hash("sha256", idPreimage, "hex").slice(0, 32)}`);
  return walletIdsFrom | (first128 >> 1n);
}

/** The ids of a wallet's accounts, one for each asset. They may or may not exist. */
export function walletAccountIds(wallet: string): bigint[] {
  return assets.map((asset) => walletAccountId(wallet, asset.ledger));
}

/** How a wallet account's row carries the address: its low 128 bits and its high 32 bits. */
export interface WalletUserData {
  readonly userData128: bigint;
  readonly userData32: number;
}

/** The user data of a wallet account's row. */
export function walletUserData(wallet: string): WalletUserData {
  const bytes = walletBytes(wallet);
  return {
    userData32: bytes.readUInt32BE(0),
    userData128: (bytes.readBigUInt64BE(4) << 64n) | bytes.readBigUInt64BE(12),
  };
}

/** The wallet, EIP-55, that a wallet account's row belongs to. */
export function walletOfUserData(data: WalletUserData): string {
  const hex =
    data.userData32.toString(16).padStart(8, "0") + data.userData128.toString(16).padStart(32, "0");
  return checksumAddress(hex);
}
