import { formatWallet } from "#common/address.ts";
import { invalidField } from "#common/domain-error.ts";
import { keccak256 } from "#common/keccak256.ts";
import { secp256k1 } from "./secp256k1.ts";

const hex65 = /^0x[0-9a-fA-F]{130}$/;
const hex64 = /^0x[0-9a-fA-F]{128}$/;
/** Half the order of the curve: of the two values of s that verify, only the lower is accepted. */
const sMax = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;
const vByNumber: Readonly<Record<number, string>> = { 0: "1b", 1: "1c", 27: "1b", 28: "1c" };

/**
 * Parses a signature, 65 bytes (r, s, v with v 0, 1, 27 or 28) or 64 (EIP-2098), and returns its one spelling:
 * 65 bytes as lower-case `0x` hex with v 27 or 28. Throws INVALID_FIELD that names `field`, also for high s.
 */
export function parseSignature(text: string, field: string): string {
  const lower = text.toLowerCase();
  if (hex64.test(text)) return normalise(lower.slice(2, 66), lower.slice(66), field);
  if (!hex65.test(text)) {
    throw invalidField(field, "string.pattern", "must be 65 bytes, or 64 (EIP-2098), as 0x hex");
  }
  const v = vByNumber[Number.parseInt(lower.slice(130), 16)];
  if (v === undefined) throw invalidField(field, "signature.v", "v must be 0, 1, 27 or 28");
  return checked(lower.slice(2, 66), lower.slice(66, 130), v, field);
}

/** EIP-2098: the parity is the top bit of s. */
function normalise(r: string, yParityAndS: string, field: string): string {
  const top = Number.parseInt(yParityAndS.slice(0, 2), 16);
  const s = (top & 0x7f).toString(16).padStart(2, "0") + yParityAndS.slice(2);
  return checked(r, s, top & 0x80 ? "1c" : "1b", field);
}

function checked(r: string, s: string, v: string, field: string): string {
  if (BigInt(`0x${s}`) > sMax) {
    throw invalidField(
      field,
      "signature.low_s",
      "s must be in the lower half of the curve's order",
    );
  }
  return `0x${r}${s}${v}`;
}

/**
 * The address, EIP-55, whose key made a signature over a digest, or undefined if none did. Both in their one
 * spelling: the digest 32 bytes, the signature 65.
 */
export function recoverAddress(digest: string, signature: string): string | undefined {
  const address = recoverAddressBytes(
    Buffer.from(digest.slice(2), "hex"),
    Buffer.from(signature.slice(2), "hex"),
  );
  return address && formatWallet(address);
}

/** As recoverAddress, from bytes to the 20 bytes of the address. */
export function recoverAddressBytes(
  digest: Uint8Array,
  signature: Uint8Array,
): Uint8Array | undefined {
  const v = signature[64];
  if (signature.length !== 65 || v === undefined) return undefined;
  try {
    const key = secp256k1.recover(digest, signature.subarray(0, 64), v - 27);
    return addressBytesOf(key);
  } catch {
    // r or s is no number of the curve, or no point has it: nobody made this signature, which is all one can say.
    return undefined;
  }
}

/** Signs a digest. `privateKey`: 32 bytes. Returns 65 bytes as lower-case `0x` hex, low s, v 27 or 28. */
export function signDigest(digest: string, privateKey: Uint8Array): string {
  const { rs, parity } = secp256k1.sign(Buffer.from(digest.slice(2), "hex"), privateKey);
  return `0x${Buffer.from(rs).toString("hex")}${parity === 0 ? "1b" : "1c"}`;
}

/** The address, EIP-55, of a private key of 32 bytes. Throws if it is no key of the curve. */
export function addressOfPrivateKey(privateKey: Uint8Array): string {
  return addressOfPublicKey(secp256k1.publicKey(privateKey));
}

/** The address, EIP-55, of an uncompressed public key: 65 bytes, of which the first is 4. */
export function addressOfPublicKey(uncompressed: Uint8Array): string {
  return formatWallet(addressBytesOf(uncompressed));
}

function addressBytesOf(uncompressed: Uint8Array): Uint8Array {
  return keccak256(uncompressed.subarray(1)).subarray(12);
}
