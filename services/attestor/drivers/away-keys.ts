import { DomainError } from "#common/domain-error.ts";
import { recoverAddress } from "#common/intent/signature.ts";
import type { SigningKeys, TypedData } from "../signing-keys.ts";

/** A service that holds keys and signs with them. What it rejects with is taken for an outage, unless it is a WrongAnswer. */
export interface SigningService {
  /** In words that follow "the", for messages. */
  readonly what: string;
  /** What the service calls the key of each address (EIP-55). */
  readonly keys: ReadonlyMap<string, string>;
  /** The two numbers of a signature, s of either half. */
  sign(key: string, data: TypedData, signal: AbortSignal): Promise<Numbers>;
  probe(key: string, signal: AbortSignal): Promise<void>;
}

/** Of an ECDSA signature. */
export interface Numbers {
  readonly r: bigint;
  readonly s: bigint;
}

/** The service answered what no such service may: a fault, and no outage. */
export class WrongAnswer extends Error {
  override readonly name = "WrongAnswer";
}

/** More wait for nothing but the service; above it callers come back. */
const underWayMax = 256;
/** How long one signature may take, in milliseconds. */
const signMs = 5_000;
const retryAfterMs = 500;

/** The order of the curve. Of s and its negative both verify; the lower is the one that is accepted. */
const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

/** Keys that a service keeps. A signature leaves here only if it is of the address that was asked for. */
export function createAwayKeys(service: SigningService): SigningKeys {
  let underWay = 0;

  async function ask<T>(request: (signal: AbortSignal) => Promise<T>, signal: AbortSignal) {
    if (underWay >= underWayMax) throw unavailable(service);
    underWay += 1;
    try {
      return await request(AbortSignal.any([signal, AbortSignal.timeout(signMs)]));
    } catch (error) {
      throw error instanceof WrongAnswer ? error : unavailable(service, error);
    } finally {
      underWay -= 1;
    }
  }

  const keyOf = (address: string): string => {
    const key = service.keys.get(address);
    if (key === undefined) throw new Error(`there is no key of ${address} here`);
    return key;
  };

  return Object.freeze({
    addresses: [...service.keys.keys()],
    has: (address: string) => service.keys.has(address),
    async sign(address: string, data: TypedData, signal: AbortSignal) {
      const key = keyOf(address);
      const numbers = await ask((until) => service.sign(key, data, until), signal);
      return signatureOf(service, address, data.digest, numbers);
    },
    async probe(address: string, signal: AbortSignal) {
      const key = keyOf(address);
      await ask((until) => service.probe(key, until), signal);
    },
  });
}

/** Such services tell no parity, or one of the signature before s was lowered: of the two, one gives the address. */
function signatureOf(
  { what }: SigningService,
  address: string,
  digest: string,
  { r, s }: Numbers,
): string {
  if (r > 0n && r < order && s > 0n && s < order) {
    const low = s > order / 2n ? order - s : s;
    for (const v of ["1b", "1c"]) {
      const signature = `0x${word(r)}${word(low)}${v}`;
      if (recoverAddress(digest, signature) === address) return signature;
    }
  }
  throw new WrongAnswer(`the ${what} answered what is no signature of ${address}`);
}

function word(number: bigint): string {
  return number.toString(16).padStart(64, "0");
}

function unavailable({ what }: SigningService, cause?: unknown): DomainError {
  return new DomainError("SIGNER_UNAVAILABLE", `the ${what} does not sign now`, {
    cause,
    retryAfterMs,
  });
}
