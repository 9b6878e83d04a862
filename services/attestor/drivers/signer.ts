import { addressOfPrivateKey, signDigest } from "#common/intent/signature.ts";
import type { SigningKeys } from "../attestation.ts";

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
