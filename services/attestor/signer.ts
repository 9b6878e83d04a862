import { addressOfPrivateKey, signDigest } from "#common/signature.ts";

/** The private keys that sign here. They can be used and not be read: nothing that prints this shows them. */
export interface SigningKeys {
  /** EIP-55. */
  readonly addresses: readonly string[];
  has(address: string): boolean;
  /** Signs a digest with the key of an address: 65 bytes as lower-case `0x` hex. Throws Error without that key. */
  sign(address: string, digest: string): string;
}

/** Takes private keys of 32 bytes. Throws if one is no key of the curve. */
export function createSigningKeys(privateKeys: readonly Uint8Array[]): SigningKeys {
  const byAddress = new Map(privateKeys.map((key) => [addressOfPrivateKey(key), key]));
  return Object.freeze({
    addresses: [...byAddress.keys()],
    has: (address: string) => byAddress.has(address),
    sign(address: string, digest: string) {
      const key = byAddress.get(address);
      if (key === undefined) throw new Error(`there is no key of ${address} here`);
      return signDigest(digest, key);
    },
  });
}
