/** What is signed: an EIP-712 digest. */
export interface TypedData {
  /** 32 bytes as lower-case `0x` hex. */
  readonly digest: string;
  /** The 66 bytes whose keccak-256 the digest is: some signers take no digest, and hash by themselves. */
  encode(): Uint8Array;
}

/** Keys that sign, wherever they lie. They can be used and not be read: nothing that prints this shows them. */
export interface SigningKeys {
  /** EIP-55. */
  readonly addresses: readonly string[];
  has(address: string): boolean;
  /**
   * Signs with the key of an address: 65 bytes as lower-case `0x` hex, low s, v 27 or 28. Rejects with SIGNER_UNAVAILABLE
   * if the signer does not answer before `signal` fires, with Error without that key or if the answer is no signature
   * of it.
   */
  sign(address: string, data: TypedData, signal: AbortSignal): Promise<string>;
  /** Asks whether the signer of an address answers. Rejects as `sign` does. */
  probe(address: string, signal: AbortSignal): Promise<void>;
}

/** Keys of several places as one: while signers rotate, the old key and the new one seldom lie in the same. */
export function joinSigningKeys(places: readonly SigningKeys[]): SigningKeys {
  const placeOf = (address: string): SigningKeys => {
    const place = places.find((keys) => keys.has(address));
    if (place === undefined) throw new Error(`there is no key of ${address} here`);
    return place;
  };
  return Object.freeze({
    addresses: [...new Set(places.flatMap(({ addresses }) => addresses))],
    has: (address: string) => places.some((keys) => keys.has(address)),
    sign: async (address: string, data: TypedData, signal: AbortSignal) =>
      await placeOf(address).sign(address, data, signal),
    probe: async (address: string, signal: AbortSignal) =>
      await placeOf(address).probe(address, signal),
  });
}
