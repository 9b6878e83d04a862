import { importJWK, jwtVerify, SignJWT } from "jose";
import { parseWallet } from "#common/address.ts";
import { findRole, roles } from "#common/roles.ts";
import type { SignInConfig } from "./config.ts";
import type { Identity } from "./ports.ts";

/** Signs tokens for who has signed in. */
export interface TokenSigner {
  sign(identity: Identity, expiresAtMs: number): Promise<string>;
  /** The wallet that a token of ours is bound to; undefined for any other token. */
  walletOf(token: string): Promise<string | undefined>;
}

/** What the tokens of somebody may do: a shopper's, or all that a person's roles may. */
export function scopesOf({ wallet, roles: names }: Identity): readonly string[] {
  if (wallet !== undefined) return roles.shopper.scopes;
  return [...new Set(names.flatMap((name) => findRole(name)?.scopes ?? []))].sort();
}

export async function openTokenSigner(
  config: Pick<SignInConfig, "tokenKey" | "issuer" | "audience">,
): Promise<TokenSigner> {
  const { issuer, audience } = config;
  const { d, kid, ...shared } = config.tokenKey;
  const [privateKey, publicKey] = await Promise.all([
    importJWK({ ...shared, d }, "EdDSA"),
    importJWK({ ...shared }, "EdDSA"),
  ]);
  return {
    sign(identity, expiresAtMs) {
      const { subject, wallet } = identity;
      const claims = { scope: scopesOf(identity).join(" "), ...(wallet && { wallet }) };
      return new SignJWT(claims)
        .setProtectedHeader({ alg: "EdDSA", typ: "JWT", ...(kid === undefined ? {} : { kid }) })
        .setSubject(subject)
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime(Math.floor(expiresAtMs / 1_000))
        .sign(privateKey);
    },
    async walletOf(token) {
      try {
        const rules = { algorithms: ["EdDSA"], issuer, audience, requiredClaims: ["exp"] };
        const { payload } = await jwtVerify(token, publicKey, rules);
        return typeof payload["wallet"] === "string"
          ? parseWallet(payload["wallet"], "wallet")
          : undefined;
      } catch {
        return undefined; // whatever is wrong with it, it is no token of ours
      }
    },
  };
}
