import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { allScopes } from "#common/rpc/access/access.ts";

export interface TokenClaims {
  readonly scope?: string;
  readonly wallet?: string;
  readonly merchant?: string;
  readonly subject?: string;
  readonly issuer?: string;
  readonly audience?: string;
  /** Seconds from now; negative for an expired token. */
  readonly expiresInSeconds?: number;
}

/** An issuer with a key of its own and its JWKS in a temporary file, which `dispose` removes. */
export interface TokenIssuer extends Disposable {
  readonly jwksPath: string;
  token(claims?: TokenClaims): Promise<string>;
}

export async function createTokenIssuer(
  algorithm: "EdDSA" | "ES256" = "EdDSA",
): Promise<TokenIssuer> {
  const { publicKey, privateKey } = await generateKeyPair(algorithm);
  const kid = "test";
  const directory = mkdtempSync(join(tmpdir(), "sovr-keys-"));
  const jwksPath = join(directory, "jwks.json");
  const jwk = { ...(await exportJWK(publicKey)), kid, alg: algorithm, sovr_scopes: allScopes };
  writeFileSync(jwksPath, JSON.stringify({ keys: [jwk] }));
  return {
    jwksPath,
    token(claims = {}) {
      const nowSeconds = Math.floor(Date.now() / 1_000);
      const expSeconds = nowSeconds + (claims.expiresInSeconds ?? 600);
      const payload: Record<string, unknown> = { scope: claims.scope ?? "" };
      if (claims.wallet !== undefined) payload["wallet"] = claims.wallet;
      if (claims.merchant !== undefined) payload["merchant"] = claims.merchant;
      return new SignJWT(payload)
        .setProtectedHeader({ alg: algorithm, kid })
        .setSubject(claims.subject ?? "test")
        .setIssuer(claims.issuer ?? "sovr")
        .setAudience(claims.audience ?? "sovr-mesh")
        .setIssuedAt(Math.min(nowSeconds, expSeconds - 60))
        .setExpirationTime(expSeconds)
        .sign(privateKey);
    },
    [Symbol.dispose]() {
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
