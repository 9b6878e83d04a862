import { invalidField } from "./domain-error.ts";
import { keccak256 } from "./keccak256.ts";

/** The wallet of house entries: nobody's. */
export const zeroWallet = "0x0000000000000000000000000000000000000000";

const address = /^0x[0-9a-fA-F]{40}$/;

/**
 * Parses a wallet's address, 20 bytes as `0x` hex, and returns it in EIP-55 case. In mixed case it carries a checksum,
 * and one that is wrong tells of a slip of the hand: only all lower, all upper and EIP-55 case are an address.
 * Throws INVALID_FIELD that names `field`.
 */
export function parseWallet(text: string, field: string): string {
  if (!address.test(text)) {
    throw invalidField(field, "string.pattern", "must be 0x and 40 hex digits");
  }
  const digits = text.slice(2);
  const checksummed = checksumAddress(digits.toLowerCase());
  if (text === checksummed || digits === digits.toLowerCase() || digits === digits.toUpperCase())
    return checksummed;
  throw invalidField(
    field,
    "address.checksum",
    "is in mixed case, and not that of EIP-55: check it letter by letter",
  );
}

/** True for an address in EIP-55 case. */
export function isChecksumAddress(text: string): boolean {
  return address.test(text) && checksumAddress(text.slice(2).toLowerCase()) === text;
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

/** An address of 40 lower-case hex digits, in EIP-55 case. */
export function checksumAddress(lowerHex: string): string {
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
