import { addressOfPrivateKey, signDigest } from "#common/intent/signature.ts";
import type { SigningKeys, TypedData } from "../signing-keys.ts";

/** Keys in this process. Takes private keys of 32 bytes. Throws if one is no key of the curve. */
export function createLocalKeys(privateKeys: readonly Uint8Array[]): SigningKeys {
  const byAddress = new Map(privateKeys.map((key) => [addressOfPrivateKey(key), key]));
  const keyOf = (address: string): Uint8Array => {
    const key = byAddress.get(address);
    if (key === undefined) throw new Error(`there is no key of ${address} here`);
    return key;
  };
  return Object.freeze({
    addresses: [...byAddress.keys()],
    has: (address: string) => byAddress.has(address),
    sign: async (address: string, { digest }: TypedData) => signDigest(digest, keyOf(address)),
    async probe(address: string) {
      keyOf(address);
    },
  });
}
