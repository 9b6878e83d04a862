import { existsSync, readFileSync } from "node:fs";
import { importJWK, type JWK, SignJWT } from "jose";
import { findRole, type Role, roles } from "#common/roles.ts";
import { allScopes } from "#common/rpc/access/access.ts";
import { Problem } from "../command/problem.ts";
import { keyFiles } from "../state/keys.ts";
import type { Settings } from "../state/settings.ts";

/** Every scope in the form in which tokens carry it. */
export const scopes = allScopes;

export const tokenSecondsMax = 3_600;

export interface TokenRequest {
  /** Default: all of them, or for a wallet a shopper's, for a merchant a merchant's. */
  readonly scopes?: readonly string[] | undefined;
  /** EIP-55 address of the wallet that the token is bound to. */
  readonly wallet?: string | undefined;
  /** The merchant that the token is bound to; not together with a wallet. */
  readonly merchant?: string | undefined;
  /** Default "developer", or whom it is bound to. */
  readonly subject?: string;
  /** Until it expires, 1 to 3600; default 3600. */
  readonly seconds?: number;
}

/** Signs a token with the development key of this mesh. */
export async function signToken(settings: Settings, request: TokenRequest = {}): Promise<string> {
  const file = keyFiles(settings).issuer;
  if (!existsSync(file)) throw new Problem("there are no keys yet: ./mesh up makes them");
  const jwk = JSON.parse(readFileSync(file, "utf8")) as JWK;
  const nowSeconds = Math.floor(Date.now() / 1000);
  const { wallet, merchant } = request;
  return new SignJWT({
    scope: (request.scopes ?? defaultScopes(request)).join(" "),
    ...(wallet === undefined ? {} : { wallet }),
    ...(merchant === undefined ? {} : { merchant }),
  })
    .setProtectedHeader({
      alg: "EdDSA",
      typ: "JWT",
      ...(jwk.kid === undefined ? {} : { kid: jwk.kid }),
    })
    .setSubject(request.subject ?? wallet ?? merchant ?? "developer")
    .setIssuer(settings.jwt.issuer)
    .setAudience(settings.jwt.audience)
    .setIssuedAt(nowSeconds)
    .setExpirationTime(nowSeconds + (request.seconds ?? tokenSecondsMax))
    .sign(await importJWK(jwk, "EdDSA"));
}

function defaultScopes({ wallet, merchant }: TokenRequest): readonly string[] {
  if (merchant !== undefined) return roles.merchant.scopes;
  return wallet === undefined ? scopes : roles.shopper.scopes;
}

/** Reads scopes as users type them, separated by spaces or commas; undefined for none, a Problem for an unknown one. */
export function parseScopes(texts: readonly string[]): readonly string[] | undefined {
  const wanted = texts.flatMap((text) => text.split(/[\s,]+/)).filter((text) => text !== "");
  const unknown = wanted.find((scope) => !scopes.includes(scope));
  if (unknown !== undefined) {
    throw new Problem(`unknown scope "${unknown}": the scopes are ${scopes.join(", ")}`);
  }
  return wanted.length === 0 ? undefined : [...new Set(wanted)];
}

/** Reads the scopes of a role by its name. `boundBy`: to what the token is to be bound. A Problem if that does not fit. */
export function scopesOfRole(name: string, boundBy: Role["boundBy"]): readonly string[] {
  const role = findRole(name);
  if (role === undefined) {
    throw new Problem(`unknown role "${name}": the roles are ${Object.keys(roles).join(", ")}`);
  }
  if (role.scopes.length === 0) {
    throw new Problem(`a ${name} has the scopes of its key: name them with --scope`);
  }
  if (role.boundBy === boundBy) return role.scopes;
  if (role.boundBy === undefined) throw new Problem(`a ${name} is bound to no ${boundBy}`);
  throw new Problem(`a ${name} needs --${role.boundBy}, and nothing else that binds`);
}
