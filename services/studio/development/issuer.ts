import { importJWK, jwtVerify, SignJWT } from "jose";
import { parseWallet } from "#common/address.ts";
import { roles, serviceScopes } from "#common/roles.ts";
import type { DevelopmentConfig } from "../config.ts";

/** The issuer of a development mesh. */
export interface Issuer {
  /** A token for a wallet's session. */
  signWalletToken(wallet: string, expiresAtMs: number): Promise<string>;
  /** The wallet that a token of ours is bound to; undefined for any other token. */
  walletOf(token: string): Promise<string | undefined>;
  /** A token with which the faucet acts for the house; a minute is longer than it takes. */
  signHouseToken(): Promise<string>;
}

export async function openIssuer(config: DevelopmentConfig): Promise<Issuer> {
  const { issuer, audience } = config;
  const { d, kid, ...shared } = config.issuerKey;
  const [privateKey, publicKey] = await Promise.all([
    importJWK({ ...shared, d }, "EdDSA"),
    importJWK({ ...shared }, "EdDSA"),
  ]);

  function sign(subject: string, claims: Record<string, string>, expiresAtMs: number) {
    return new SignJWT(claims)
      .setProtectedHeader({ alg: "EdDSA", typ: "JWT", ...(kid === undefined ? {} : { kid }) })
      .setSubject(subject)
      .setIssuer(issuer)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime(Math.floor(expiresAtMs / 1_000))
      .sign(privateKey);
  }

  return {
    signWalletToken: (wallet, expiresAtMs) =>
      sign(wallet, { scope: roles.shopper.scopes.join(" "), wallet }, expiresAtMs),
    async walletOf(token) {
      try {
        const rules = { algorithms: ["EdDSA"], issuer, audience, requiredClaims: ["exp"] };
        const { payload } = await jwtVerify(token, publicKey, rules);
        const { wallet } = payload;
        return typeof wallet === "string" ? parseWallet(wallet, "wallet") : undefined;
      } catch {
        return undefined; // whatever is wrong with it, it is no token of ours
      }
    },
    signHouseToken: () =>
      sign(
        "development-faucet",
        { scope: serviceScopes["development-faucet"].join(" ") },
        Date.now() + 60_000,
      ),
  };
}
