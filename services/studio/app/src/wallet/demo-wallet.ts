import { SigningKey } from "ethers/crypto";
import { hashMessage } from "ethers/hash";
import { computeAddress } from "ethers/transaction";

/**
 * A wallet for trying things out. Its key lies in the browser's storage, where any script of this page can read it:
 * good enough for play money, and for nothing else.
 */
export interface DemoWallet {
  /** EIP-55. */
  readonly address: string;
  /** 32 bytes as `0x` hex. */
  readonly privateKey: string;
  /** Signs a digest of 32 bytes: 65 bytes as lower-case `0x` hex. */
  signDigest(digest: string): string;
  /** Signs a text by EIP-191. */
  signText(text: string): string;
}

const storageKey = "sovr.studio.wallet";

/** The wallet of this browser, or undefined. What is stored and no key is treated as absent. */
export function loadWallet(storage: Storage): DemoWallet | undefined {
  const privateKey = storage.getItem(storageKey);
  if (privateKey === null) return undefined;
  try {
    return walletOf(privateKey);
  } catch {
    return undefined;
  }
}

/** Keeps a wallet in this browser: a new one, or that of a private key. Throws for what is no key. */
export function keepWallet(storage: Storage, privateKey = newPrivateKey()): DemoWallet {
  const wallet = walletOf(privateKey);
  storage.setItem(storageKey, wallet.privateKey);
  return wallet;
}

export function forgetWallet(storage: Storage): void {
  storage.removeItem(storageKey);
}

function walletOf(text: string): DemoWallet {
  const privateKey = `0x${text.trim().replace(/^0x/, "").toLowerCase()}`;
  const key = new SigningKey(privateKey);
  return {
    address: computeAddress(key),
    privateKey,
    signDigest: (digest) => key.sign(digest).serialized,
    signText: (message) => key.sign(hashMessage(message)).serialized,
  };
}

/** A random number is out of the curve's range once in 2^128 times; then `walletOf` throws and the user tries again. */
function newPrivateKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
