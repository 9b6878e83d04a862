import { keccak_256 } from "@noble/hashes/sha3.js";

/** The digest that EIP-191 signs for a text ("personal sign"): 32 bytes as lower-case `0x` hex. */
export function personalDigest(text: string): string {
  const bytes = Buffer.from(text, "utf8");
  const prefix = Buffer.from(`\x19Ethereum Signed Message:\n${bytes.length}`, "latin1");
  return `0x${Buffer.from(keccak_256(Buffer.concat([prefix, bytes]))).toString("hex")}`;
}
