import type { RoleName } from "#common/roles.ts";

/** Who has signed in. */
export interface Identity {
  /** As tokens say it: a wallet's address, or "oidc:" and what the provider calls the person. At most 255 characters. */
  readonly subject: string;
  /** For eyes. At most 100 characters. */
  readonly name: string;
  /** EIP-55; undefined for a person. */
  readonly wallet: string | undefined;
  /** Empty for a wallet, which is a shopper. */
  readonly roles: readonly RoleName[];
}

/** A session. Whoever has its id is the identity; of the id only a hash is kept. */
export interface Session extends Identity {
  /** Epoch milliseconds: when it is over, whatever is asked in it. */
  readonly expiresAtMs: number;
}

/** What a wallet was given to sign, once. */
export interface Challenge {
  readonly nonce: string;
  readonly wallet: string;
  readonly message: string;
  readonly expiresAtMs: number;
}

/** What this browser must bring back from the provider, once. Secret but for `state` and `nonce`. */
export interface Attempt {
  readonly state: string;
  readonly nonce: string;
  readonly codeVerifier: string;
  readonly expiresAtMs: number;
  /** The hash of the id of the session that this browser had: what comes back from another site does not carry it. */
  readonly replaced: Uint8Array | undefined;
}

/** A session that begins. */
export interface AddedSession {
  readonly idHash: Uint8Array;
  readonly session: Session;
  /** Of another session of this browser, which ends. */
  readonly replaced: Uint8Array | undefined;
  readonly nowMs: number;
}

/** Sessions, challenges and attempts, durable. Every method throws RECORDS_UNAVAILABLE. */
export interface SessionStore {
  addChallenge(challenge: Challenge): Promise<void>;
  /** Takes a challenge out, so that it is answered once, right or wrong. */
  takeChallenge(nonce: string): Promise<Challenge | undefined>;
  addAttempt(idHash: Uint8Array, attempt: Attempt): Promise<void>;
  takeAttempt(idHash: Uint8Array): Promise<Attempt | undefined>;
  /** Adds a session, and ends the longest unused one of a subject that has too many. */
  addSession(added: AddedSession): Promise<void>;
  /** The session of an id, unless it is over at `nowMs`. It counts as used. */
  touchSession(idHash: Uint8Array, nowMs: number): Promise<Session | undefined>;
  endSession(idHash: Uint8Array): Promise<void>;
}

/** Who knows people. */
export interface Provider {
  /** Where a browser goes to say who it is. SIGN_IN_UNAVAILABLE. */
  begin(attempt: Omit<Attempt, "expiresAtMs" | "replaced">): Promise<URL>;
  /** Who came back. `url`: as the browser asked for it. SIGN_IN_REFUSED, SIGN_IN_UNAVAILABLE. */
  finish(url: URL, attempt: Attempt): Promise<Identity>;
  /** Where a browser goes to end its session at the provider too; undefined if it has no such page, or does not answer. */
  endUrl(): Promise<URL | undefined>;
}
