import { hash } from "node:crypto";
import { walletIdsFrom } from "./chart.ts";
import { invalidField } from "./domain-error.ts";
import { keccak256 } from "./keccak256.ts";

/** The wallet of house entries: nobody's. */
export const zeroWallet = "0x0000000000000000000000000000000000000000";

const address = /^0x[0-9a-fA-F]{40}$/;

/**
 * Parses a wallet's address, 20 bytes as `0x` hex in any case, and returns it in EIP-55 case.
 * Throws INVALID_FIELD that names `field`.
 */
export function parseWallet(text: string, field: string): string {
  if (!address.test(text)) {
    throw invalidField(field, "string.pattern", "must be 0x and 40 hex digits");
  }
  return checksumAddress(text.slice(2).toLowerCase());
}

/** The address of 20 bytes, in EIP-55 case. */
export function formatWallet(bytes: Uint8Array): string {
  return checksumAddress(Buffer.from(bytes).toString("hex"));
}

/** The 20 bytes of an address. */
export function walletBytes(wallet: string): Buffer {
  return Buffer.from(wallet.slice(2), "hex");
}

// The checksum costs a hash; a mesh sees the same wallets again and again. Bounded: oldest out first.
const checksummed = new Map<string, string>();
const checksummedMax = 10_000;

function checksumAddress(lowerHex: string): string {
  const known = checksummed.get(lowerHex);
  if (known !== undefined) return known;
  const caseBits = keccak256(Buffer.from(lowerHex, "ascii"));
  let text = "0x";
  for (const [i, digit] of [...lowerHex].entries()) {
    const nibble = ((caseBits[i >> 1] ?? 0) >> (i % 2 === 0 ? 4 : 0)) & 0x0f;
    text += nibble >= 8 ? digit.toUpperCase() : digit;
  }
  if (checksummed.size >= checksummedMax) {
    const oldest = checksummed.keys().next();
    if (!oldest.done) checksummed.delete(oldest.value);
  }
  checksummed.set(lowerHex, text);
  return text;
}

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
