import { ConfigError } from "#common/process/environment.ts";

/** A JWK of an Ed25519 key pair. */
export interface IssuerKey {
  readonly kty: "OKP";
  readonly crv: "Ed25519";
  readonly x: string;
  /** Secret. */
  readonly d: string;
  readonly kid: string | undefined;
}

/** Reads the private JWK that a variable holds. Throws ConfigError, which never shows it. */
export function parseIssuerKey(variable: string, text: string): IssuerKey {
  const problem = new ConfigError(
    variable,
    "(hidden)",
    "expected the private JWK of an Ed25519 key",
  );
  let jwk: Partial<Record<string, unknown>>;
  try {
    jwk = JSON.parse(text) as Partial<Record<string, unknown>>;
  } catch {
    throw problem; // the cause would show a part of the key
  }
  const { kty, crv, x, d, kid } = jwk ?? {};
  if (kty !== "OKP" || crv !== "Ed25519" || typeof x !== "string" || typeof d !== "string") {
    throw problem;
  }
  return Object.freeze({ kty, crv, x, d, kid: typeof kid === "string" ? kid : undefined });
}
