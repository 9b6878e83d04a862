import { createPrivateKey, type KeyObject } from "node:crypto";
import { SignJWT } from "jose";
import { ConfigError } from "#common/process/environment.ts";
import { serviceScopes } from "#common/roles.ts";

/** Who Checkout is to Attestor and Clearing. */
export interface Credentials {
  /** A token that is good for five minutes more at least. The same one as long as that holds. */
  token(): Promise<string>;
}

export interface CredentialsOptions {
  /** CHECKOUT_CREDENTIAL_KEY: the private JWK of an Ed25519 key. Secret. */
  readonly key: string;
  readonly issuer: string;
  readonly audience: string;
  /** Epoch milliseconds. */
  readonly nowMs: () => number;
}

/** Short, for a token that leaks cannot be taken back. */
const lifetimeMs = 600_000;
const renewAfterMs = 300_000;

/** Signs Checkout's own tokens. Throws ConfigError if the key is none; the key is never part of it. */
export function createCredentials(options: CredentialsOptions): Credentials {
  const { key, kid } = parseKey(options.key);
  let issuedAtMs = Number.NEGATIVE_INFINITY;
  let current: Promise<string> | undefined;

  function sign(nowMs: number): Promise<string> {
    const nowSeconds = Math.floor(nowMs / 1_000);
    return new SignJWT({ scope: serviceScopes.checkout.join(" ") })
      .setProtectedHeader({ alg: "EdDSA", typ: "JWT", ...(kid === undefined ? {} : { kid }) })
      .setSubject("checkout")
      .setIssuer(options.issuer)
      .setAudience(options.audience)
      .setIssuedAt(nowSeconds)
      .setExpirationTime(nowSeconds + lifetimeMs / 1_000)
      .sign(key);
  }

  return {
    token() {
      const nowMs = options.nowMs();
      const ageMs = nowMs - issuedAtMs;
      // A clock that was set back makes a token from the future, which lives too long for its readers.
      if (current === undefined || ageMs < 0 || ageMs >= renewAfterMs) {
        issuedAtMs = nowMs;
        current = sign(nowMs);
      }
      return current;
    },
  };
}

function parseKey(text: string): { readonly key: KeyObject; readonly kid: string | undefined } {
  try {
    const jwk = JSON.parse(text) as Readonly<Record<string, unknown>>;
    if (jwk["kty"] !== "OKP" || jwk["crv"] !== "Ed25519") throw new TypeError("no Ed25519 key");
    const key = createPrivateKey({ key: jwk, format: "jwk" });
    // Node looks at the private half alone. If the public one is of another key, so is what the peers were given.
    if (key.export({ format: "jwk" }).x !== jwk["x"]) throw new TypeError("halves of two keys");
    const kid = jwk["kid"];
    return { key, kid: typeof kid === "string" ? kid : undefined };
  } catch {
    // The cause would show a part of the key.
    throw new ConfigError(
      "CHECKOUT_CREDENTIAL_KEY",
      "(hidden)",
      "expected the private JWK of an Ed25519 key",
    );
  }
}
