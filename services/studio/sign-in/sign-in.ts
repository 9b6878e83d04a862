import { createHash, randomBytes } from "node:crypto";
import { DomainError } from "#common/domain-error.ts";
import { recoverAddress } from "#common/intent/signature.ts";
import type { RateLimit } from "#common/rate-limit.ts";
import { personalDigest } from "../personal-digest.ts";
import { signInLimits } from "./limits.ts";
import { signInText } from "./message.ts";
import type { Identity, Provider, Session, SessionStore } from "./ports.ts";

/** As challenges are given it; what has another form is looked for nowhere. */
const nonceForm = /^[0-9a-f]{32}$/;

export interface Token {
  readonly token: string;
  /** Epoch milliseconds. */
  readonly expiresAtMs: number;
}

/** A session that has just begun. */
export interface Begun {
  /** The secret of the cookie: 64 hex digits. */
  readonly id: string;
  readonly session: Session;
}

/** Signs wallets and people in, and gives tokens to who is. All throw RECORDS_UNAVAILABLE. */
export interface SignIn {
  /** A text for a wallet (EIP-55) to sign, within five minutes. `address`: of the client, by which it is counted. RATE_LIMITED. */
  challenge(
    wallet: string,
    address: string,
  ): Promise<{ nonce: string; message: string; expiresAtMs: number }>;
  /** Begins a session of whoever signed it: 65 bytes as hex. SIGN_IN_REFUSED. */
  byWallet(nonce: string, signature: string, replaced: string | undefined): Promise<Begun>;
  /**
   * Where to send a browser, and the secret that it must bring back. Its session of now, if any, ends when it has.
   * SIGN_IN_UNAVAILABLE, RATE_LIMITED.
   */
  toProvider(
    replaced: string | undefined,
    address: string,
  ): Promise<{ url: URL; attemptId: string }>;
  /** Begins a session of who comes back. SIGN_IN_REFUSED, SIGN_IN_UNAVAILABLE. */
  fromProvider(url: URL, attemptId: string): Promise<Begun>;
  /** Who is signed in; undefined for nobody. */
  who(id: string | undefined): Promise<Session | undefined>;
  /**
   * A token of the session, if it is the wallet's (EIP-55; "": a person's) for which the page asks: somebody else may have
   * signed in on another page. SESSION_EXPIRED.
   */
  token(id: string | undefined, wallet: string): Promise<Token>;
  /** Ends it, here and, for a person, where the URL leads. Safe to repeat. */
  end(id: string | undefined): Promise<URL | undefined>;
}

export interface SignInPorts {
  readonly store: SessionStore;
  /** Undefined: people cannot sign in. */
  readonly provider: Provider | undefined;
  readonly signToken: (identity: Identity, expiresAtMs: number) => Promise<string>;
  readonly origin: string;
  readonly chainId: bigint;
  readonly sessionMs: number;
  readonly challenges: Pick<RateLimit, "take">;
  readonly attempts: Pick<RateLimit, "take">;
  /** Epoch milliseconds. */
  readonly nowMs: () => number;
}

export function createSignIn(ports: SignInPorts): SignIn {
  const { store, nowMs, origin, chainId } = ports;

  async function begin(identity: Identity, replaced: Uint8Array | undefined): Promise<Begun> {
    // Always a new id: one that somebody has put into this browser before is worth nothing.
    const id = randomBytes(32).toString("hex");
    const session = { ...identity, expiresAtMs: nowMs() + ports.sessionMs };
    await store.addSession({
      idHash: hashOf(id),
      session,
      replaced,
      nowMs: nowMs(),
    });
    return { id, session };
  }

  async function who(id: string | undefined): Promise<Session | undefined> {
    return id === undefined ? undefined : store.touchSession(hashOf(id), nowMs());
  }

  return {
    async challenge(wallet, address) {
      ports.challenges.take(address);
      const nonce = randomBytes(16).toString("hex");
      const issuedAtMs = nowMs();
      const expiresAtMs = issuedAtMs + signInLimits.answerMs;
      const message = signInText({ origin, wallet, chainId, nonce, issuedAtMs, expiresAtMs });
      await store.addChallenge({ nonce, wallet, message, expiresAtMs });
      return { nonce, message, expiresAtMs };
    },
    async byWallet(nonce, signature, replaced) {
      const challenge = nonceForm.test(nonce) ? await store.takeChallenge(nonce) : undefined;
      if (challenge === undefined || nowMs() >= challenge.expiresAtMs) {
        throw refused("nonce", "The nonce is unknown, used already, or too old.");
      }
      const { wallet, message } = challenge;
      if (recoverAddress(personalDigest(message), signature) !== wallet) {
        throw refused("signature", "The signature is not the wallet's over this message.");
      }
      return begin({ subject: wallet, name: wallet, wallet, roles: [] }, hashIf(replaced));
    },
    async toProvider(replaced, address) {
      const provider = requireProvider(ports);
      ports.attempts.take(address);
      const attempt = { state: secret(), nonce: secret(), codeVerifier: secret() };
      const url = await provider.begin(attempt);
      const attemptId = secret();
      const expiresAtMs = nowMs() + signInLimits.answerMs;
      await store.addAttempt(hashOf(attemptId), {
        ...attempt,
        expiresAtMs,
        replaced: hashIf(replaced),
      });
      return { url, attemptId };
    },
    async fromProvider(url, attemptId) {
      const provider = requireProvider(ports);
      const attempt = await store.takeAttempt(hashOf(attemptId));
      if (attempt === undefined || nowMs() >= attempt.expiresAtMs) {
        throw refused("state", "This browser did not begin this, or more than five minutes ago.");
      }
      return begin(await provider.finish(url, attempt), attempt.replaced);
    },
    who,
    async token(id, wallet) {
      const session = await who(id);
      if (session === undefined || (session.wallet ?? "") !== wallet) {
        throw new DomainError("SESSION_EXPIRED", "There is no session of yours, or it is over.");
      }
      // Not beyond the session, and in whole seconds, as a token says it.
      const until = Math.min(nowMs() + signInLimits.tokenMs, session.expiresAtMs);
      const expiresAtMs = Math.floor(until / 1_000) * 1_000;
      return { token: await ports.signToken(session, expiresAtMs), expiresAtMs };
    },
    async end(id) {
      const session = await who(id);
      if (id === undefined || session === undefined) return undefined;
      await store.endSession(hashOf(id));
      return session.wallet === undefined ? ports.provider?.endUrl() : undefined;
    },
  };
}

/** What is kept of a secret: who reads the records can be nobody by them. */
function hashOf(secretText: string): Uint8Array {
  return createHash("sha256").update(secretText, "utf8").digest();
}

function hashIf(secretText: string | undefined): Uint8Array | undefined {
  return secretText === undefined ? undefined : hashOf(secretText);
}

/** 256 bits, for URLs and cookies. */
function secret(): string {
  return randomBytes(32).toString("base64url");
}

function requireProvider({ provider }: SignInPorts): Provider {
  if (provider !== undefined) return provider;
  const method = "GET /sign-in/oidc";
  throw new DomainError("METHOD_NOT_FOUND", `there is no ${method}`, { metadata: { method } });
}

/** The refusal to sign somebody in. */
export function refused(rule: string, message: string): DomainError<"SIGN_IN_REFUSED"> {
  return new DomainError("SIGN_IN_REFUSED", message, { metadata: { rule } });
}
