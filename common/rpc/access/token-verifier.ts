import { errors, type JWTPayload, jwtVerify } from "jose";
import { isChecksumAddress } from "#common/address.ts";
import { scopesHeld } from "#common/caller.ts";
import { DomainError } from "#common/domain-error.ts";
import { scopesOfKey } from "./key-rights.ts";
import type { KeyStore } from "./key-store.ts";
import type { Principal } from "./principal.ts";

export interface TokenRules {
  readonly issuer: string;
  readonly audience: string;
  /** Whether a key of which the JWK Set says nothing may give scopes of the house. */
  readonly isDevelopment: boolean;
}

/** Turns the `authorization` header into the caller. */
export interface TokenVerifier {
  /**
   * Gives the caller, at once when the token was verified before. Throws or rejects with CREDENTIALS_MISSING or
   * CREDENTIALS_INVALID, whose metadata.rule names what failed: "scheme", "size", "malformed", "alg", "kid",
   * "signature", or a claim such as "exp", "aud" or "wallet".
   */
  verify(authorization: string | undefined): Principal | Promise<Principal>;
}

/** A verifier that says how many tokens it remembers now. */
export interface RememberingVerifier extends TokenVerifier {
  readonly remembered: number;
}

const algorithms = ["EdDSA", "ES256"];
const lifetimeSecondsMax = 3_600;
/** How far the issuer's clock may be off. */
const skewSeconds = 30;
const tokenLengthMax = 4_096;
const scopesMax = 64;
/** Verified tokens that are remembered; a verification costs 100 µs and more, a look-up less than one. */
const cacheTokensMax = 10_000;
/** After this long a token is verified again, so that a key withdrawn at a URL stops counting. */
const cacheAgeMsMax = 300_000;

interface CachedToken {
  readonly principal: Principal;
  readonly generation: number;
  readonly staleAtMs: number;
}

/** A verifier of EdDSA and ES256 tokens. `nowMs` is the clock, for tests. */
export function createTokenVerifier(
  rules: TokenRules,
  keys: KeyStore,
  nowMs: () => number = Date.now,
): RememberingVerifier {
  // By the token, of which there is one spelling, and not by the header, of which there are many; most recently used last.
  const cache = new Map<string, CachedToken>();

  function recall(token: string, generation: number): Principal | undefined {
    const cached = cache.get(token);
    if (cached === undefined) return undefined;
    cache.delete(token);
    if (cached.generation !== generation || nowMs() >= cached.staleAtMs) return undefined;
    cache.set(token, cached);
    return cached.principal;
  }

  function remember(token: string, entry: CachedToken): void {
    if (cache.size >= cacheTokensMax) {
      const oldest = cache.keys().next();
      if (!oldest.done) cache.delete(oldest.value);
    }
    cache.set(token, entry);
  }

  async function verifyAnew(token: string, generation: number): Promise<Principal> {
    const principal = await verifyToken(token, rules, keys, nowMs());
    const staleAtMs = Math.min(principal.expiresAtMs, nowMs() + cacheAgeMsMax);
    remember(token, { principal, generation, staleAtMs });
    return principal;
  }

  return {
    get remembered() {
      return cache.size;
    },
    verify(authorization) {
      if (authorization === undefined || authorization === "") throw missing();
      const token = bearerToken(authorization);
      const generation = keys.generation();
      return recall(token, generation) ?? verifyAnew(token, generation);
    },
  };
}

function missing(): DomainError<"CREDENTIALS_MISSING"> {
  return new DomainError(
    "CREDENTIALS_MISSING",
    "The call carries no credentials: send `authorization: Bearer <token>`.",
  );
}

function bearerToken(authorization: string): string {
  if (authorization.length > tokenLengthMax) throw invalid("size", "The token is too long.");
  const match = /^bearer +([A-Za-z0-9_.-]+)$/i.exec(authorization);
  if (match?.[1] === undefined) throw invalid("scheme", "The credentials are not a bearer token.");
  return match[1];
}

/** The last letter of a part may hold bits that no byte has: they must be zero, or one signature has sixteen spellings. */
function checkSpelling(token: string): void {
  for (const part of token.split("."))
    if (Buffer.from(part, "base64url").toString("base64url") !== part)
      throw invalid("malformed", "The token is malformed.");
}

async function verifyToken(
  token: string,
  rules: TokenRules,
  keys: KeyStore,
  nowMs: number,
): Promise<Principal> {
  checkSpelling(token);
  try {
    const { payload, protectedHeader } = await jwtVerify(token, keys.getKey, {
      algorithms,
      issuer: rules.issuer,
      audience: rules.audience,
      requiredClaims: ["exp", "sub"],
      clockTolerance: skewSeconds,
      currentDate: new Date(nowMs),
    });
    const rights = keys.rightsOf(protectedHeader.kid);
    if (rights.audience !== undefined && rights.audience !== rules.audience) {
      throw invalid("aud", "The token's key signs for another audience.");
    }
    const principal = toPrincipal(payload, nowMs);
    const scopes = scopesOfKey(rights, rules.isDevelopment, principal.scopes);
    return Object.freeze({ ...principal, scopes });
  } catch (error) {
    throw toCredentialsError(error);
  }
}

function toPrincipal(payload: JWTPayload, nowMs: number): Principal {
  const { exp, iat, sub = "", scope = "" } = payload;
  const startSeconds = Math.min(iat ?? Number.POSITIVE_INFINITY, nowMs / 1_000);
  // Counted from the earlier of issue and now: neither a token without `iat` nor one from the future lives longer.
  if (exp === undefined || exp - startSeconds > lifetimeSecondsMax + skewSeconds) {
    throw invalid("exp", "The token lives longer than an hour.");
  }
  if (typeof scope !== "string") throw invalid("scope", "The claim `scope` is not a text.");
  const scopes = scope.split(" ").filter((name) => name !== "");
  if (scopes.length > scopesMax) throw invalid("scope", "The token carries too many scopes.");
  const { wallet, merchant } = bindingOf(payload);
  return {
    subject: sub,
    scopes: scopesHeld({ wallet, merchant }, scopes),
    wallet,
    merchant,
    expiresAtMs: exp * 1_000,
  };
}

/** To whom a token is bound: to a wallet, or to a merchant, or to nobody. */
function bindingOf({ wallet, merchant }: JWTPayload) {
  if (wallet !== undefined && merchant !== undefined) {
    throw invalid("merchant", "The token is bound to a wallet and to a merchant.");
  }
  return {
    wallet: wallet === undefined ? undefined : claimedWallet(wallet),
    merchant: merchant === undefined ? undefined : claimedMerchant(merchant),
  };
}

/** The merchant claim, in the form of an intent's `merchant_id`: one that is empty would name what nobody sells. */
function claimedMerchant(claim: unknown): string {
  if (typeof claim === "string" && /^[ -~]{1,128}$/.test(claim)) return claim;
  throw invalid("merchant", "The claim `merchant` is not 1 to 128 characters of printable ASCII.");
}

/** The wallet claim, which must be in EIP-55 case: the issuer, not a person, wrote it. */
function claimedWallet(claim: unknown): string {
  if (typeof claim !== "string" || !isChecksumAddress(claim)) {
    throw invalid("wallet", "The claim `wallet` is not an EIP-55 address.");
  }
  return claim;
}

function invalid(rule: string, message: string): DomainError<"CREDENTIALS_INVALID"> {
  return new DomainError("CREDENTIALS_INVALID", message, { metadata: { rule } });
}

/** Names what failed. A key source that does not answer is no fault of the caller's and stays what it is. */
function toCredentialsError(error: unknown): unknown {
  if (error instanceof DomainError) return error;
  if (error instanceof errors.JWTExpired) return invalid("exp", "The token has expired.");
  if (error instanceof errors.JWTClaimValidationFailed) {
    return invalid(error.claim, `The claim \`${error.claim}\` of the token does not fit.`);
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return invalid("signature", "The token's signature is wrong.");
  }
  if (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys
  ) {
    return invalid("kid", "The token names no key of the issuer.");
  }
  if (error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported) {
    return invalid("alg", "The token's algorithm is not EdDSA or ES256.");
  }
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) {
    return invalid("malformed", "The token is malformed.");
  }
  return error;
}
