import { randomBytes } from "node:crypto";
import { DomainError, invalidField } from "#common/domain-error.ts";
import { recoverAddress } from "#common/intent/signature.ts";
import type { RateLimit } from "#common/rate-limit.ts";
import { personalDigest } from "../personal-digest.ts";

/** How long a token is good for. The app renews it by itself. */
export const tokenSeconds = 900;

/** The most that the faucet gives at once, in cents. */
export const faucetMax = 10_000n;

/** What a wallet signs to prove that it is held, once. */
export interface Challenge {
  readonly nonce: string;
  /** The text to sign by EIP-191 ("personal sign"). */
  readonly message: string;
  readonly expiresAtMs: number;
}

export interface Token {
  readonly token: string;
  readonly expiresAtMs: number;
}

/** Development only: gives tokens to whoever holds a wallet, and money to whoever holds a token. */
export interface Development {
  /** Makes a challenge for a wallet, EIP-55. RATE_LIMITED. */
  challenge(wallet: string): Challenge;
  /** Exchanges a signed challenge for a token. `signature`: 65 bytes. CREDENTIALS_INVALID, RATE_LIMITED. */
  token(nonce: string, signature: string): Promise<Token>;
  /** Funds the wallet that a token is bound to. `amount`: cents. CREDENTIALS_INVALID, RATE_LIMITED, or what the mesh says. */
  fund(token: string, amount: bigint): Promise<{ readonly intentId: string }>;
}

export interface DevelopmentPorts {
  /** Makes a token of the mesh's issuer, bound to the wallet. */
  readonly signToken: (wallet: string, expiresAtMs: number) => Promise<string>;
  /** The wallet that a token is bound to, EIP-55; undefined for a bad one. */
  readonly walletOf: (token: string) => Promise<string | undefined>;
  /** Opens the wallet's dollar account and clears a FUNDING of the house's; gives the intent's id. */
  readonly fund: (wallet: string, amount: bigint) => Promise<string>;
  readonly challenges: Pick<RateLimit, "take">;
  readonly fundings: Pick<RateLimit, "take">;
  /** Epoch milliseconds. */
  readonly nowMs: () => number;
}

const challengeMs = 60_000;
/** More would be an attack; the oldest goes first. */
const challengesMax = 1_000;

export function createDevelopment(ports: DevelopmentPorts): Development {
  const open = new Map<string, Challenge & { readonly wallet: string }>();
  return {
    challenge(wallet) {
      ports.challenges.take(wallet);
      const nonce = randomBytes(16).toString("hex");
      const message = `SOVR Mesh, development.\nI hold the wallet ${wallet}.\nOnce: ${nonce}`;
      const challenge = { nonce, message, expiresAtMs: ports.nowMs() + challengeMs };
      const oldest = open.keys().next();
      if (open.size >= challengesMax && !oldest.done) open.delete(oldest.value);
      open.set(nonce, { ...challenge, wallet });
      return challenge;
    },
    async token(nonce, signature) {
      const challenge = open.get(nonce);
      open.delete(nonce); // right or wrong: a challenge is answered once
      if (challenge === undefined || ports.nowMs() >= challenge.expiresAtMs) {
        throw refused("challenge", "The challenge is unknown, answered already, or too old.");
      }
      if (recoverAddress(personalDigest(challenge.message), signature) !== challenge.wallet) {
        throw refused("signature", "The signature is not the wallet's.");
      }
      const expiresAtMs = (Math.floor(ports.nowMs() / 1_000) + tokenSeconds) * 1_000;
      return { token: await ports.signToken(challenge.wallet, expiresAtMs), expiresAtMs };
    },
    async fund(token, amount) {
      const wallet = await ports.walletOf(token);
      if (wallet === undefined) throw refused("token", "The token is bad or has expired.");
      if (amount < 1n || amount > faucetMax) {
        throw invalidField("amount", "faucet.amount", `must be 1 to ${faucetMax} cents`);
      }
      ports.fundings.take(wallet);
      return { intentId: await ports.fund(wallet, amount) };
    },
  };
}

function refused(rule: string, message: string): DomainError<"CREDENTIALS_INVALID"> {
  return new DomainError("CREDENTIALS_INVALID", message, { metadata: { rule } });
}
