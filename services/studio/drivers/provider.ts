import * as oidc from "openid-client";
import { DomainError } from "#common/domain-error.ts";
import type { RoleName } from "#common/roles.ts";
import { isLoopback, type ProviderConfig } from "../sign-in/config.ts";
import type { Attempt, Identity, Provider } from "../sign-in/ports.ts";
import { refused } from "../sign-in/sign-in.ts";

/** How long the provider may take to answer, in seconds. */
const answerSeconds = 5;
/** After so long it is asked again what it is: it may have moved. */
const knownMs = 3_600_000;
const namesMax = 200;
const nameLengthMax = 100;
const subjectLengthMax = 250;

interface Known {
  readonly configuration: oidc.Configuration;
  readonly sinceMs: number;
}

/**
 * People, by OpenID Connect's code flow with PKCE. Nothing is asked before somebody wants to sign in, so that a provider
 * that is away keeps nobody from starting. `callback`: where it sends browsers back to.
 */
export function createProvider(config: ProviderConfig, callback: URL): Provider {
  let known: Known | undefined;

  async function configuration(): Promise<oidc.Configuration> {
    if (known !== undefined && Date.now() - known.sinceMs < knownMs) return known.configuration;
    try {
      known = { configuration: await discover(config), sinceMs: Date.now() };
    } catch (error) {
      if (known === undefined) throw providerError(error);
    }
    return known.configuration;
  }

  return {
    async begin({ state, nonce, codeVerifier }) {
      return oidc.buildAuthorizationUrl(await configuration(), {
        redirect_uri: callback.href,
        scope: config.scope,
        state,
        nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(codeVerifier),
        code_challenge_method: "S256",
      });
    },
    async finish(url, attempt) {
      const claims = await exchange(await configuration(), url, attempt);
      return identityOf(config, claims);
    },
    async endUrl() {
      try {
        const parameters = { post_logout_redirect_uri: `${callback.origin}/` };
        return oidc.buildEndSessionUrl(await configuration(), parameters);
      } catch {
        return undefined; // it has no such page, or does not answer: the session here has ended all the same
      }
    },
  };
}

async function discover(config: ProviderConfig): Promise<oidc.Configuration> {
  const { issuer, clientId, clientSecret } = config;
  const isPlain = issuer.protocol === "http:" && isLoopback(issuer);
  const found = await oidc.discovery(
    issuer,
    clientId,
    undefined,
    clientSecret === undefined ? oidc.None() : oidc.ClientSecretBasic(clientSecret),
    { timeout: answerSeconds, execute: isPlain ? [oidc.allowInsecureRequests] : [] },
  );
  found.timeout = answerSeconds;
  return found;
}

type Claims = Readonly<Record<string, unknown>> & { readonly sub: string };

async function exchange(
  configuration: oidc.Configuration,
  url: URL,
  { state, nonce, codeVerifier }: Attempt,
): Promise<Claims> {
  try {
    const tokens = await oidc.authorizationCodeGrant(configuration, url, {
      pkceCodeVerifier: codeVerifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
    });
    const claims = tokens.claims();
    if (claims === undefined) throw new Error("there is no ID token");
    return claims;
  } catch (error) {
    throw providerError(error);
  }
}

/** Who a person is here. SIGN_IN_REFUSED for one who may do nothing. */
function identityOf(config: ProviderConfig, claims: Claims): Identity {
  const { sub } = claims;
  if (sub === "" || sub.length > subjectLengthMax)
    throw refused("provider", `the provider's subject has no 1 to ${subjectLengthMax} characters`);
  const roles = rolesIn(claims[config.rolesClaim], config.roleNames);
  if (roles.length === 0)
    throw refused("roles", `${nameIn(claims)} has no role here: ask whoever gives them out`);
  return { subject: `oidc:${sub}`, name: nameIn(claims), wallet: undefined, roles };
}

/** A list of names, or names between spaces; what else may stand there is no role. */
function rolesIn(claim: unknown, roleNames: ReadonlyMap<string, RoleName>): readonly RoleName[] {
  const names: readonly unknown[] =
    typeof claim === "string" ? claim.split(" ") : Array.isArray(claim) ? claim : [];
  const roles = names
    .slice(0, namesMax)
    .flatMap((name) => (typeof name === "string" ? (roleNames.get(name) ?? []) : []));
  return [...new Set(roles)].sort();
}

function nameIn(claims: Claims): string {
  const names = [claims["name"], claims["preferred_username"], claims["email"], claims.sub];
  const name = names.find((one): one is string => typeof one === "string" && one !== "") ?? "";
  return name.replaceAll(/\p{C}/gu, "").slice(0, nameLengthMax);
}

/** What openid-client says where nobody answers, or not in the provider's words: not the person's fault. */
const awayCodes: ReadonlySet<unknown> = new Set([
  "OAUTH_TIMEOUT",
  "OAUTH_ABORT",
  "OAUTH_RESPONSE_IS_NOT_CONFORM",
  "OAUTH_RESPONSE_IS_NOT_JSON",
  "OAUTH_PARSE_ERROR",
]);

function providerError(error: unknown): DomainError {
  const { code, name, message } = error as { code?: unknown; name?: string; message?: string };
  const said = error instanceof oidc.AuthorizationResponseError ? error.error : "";
  const isAway =
    awayCodes.has(code) ||
    /^(server_error|temporarily_unavailable)$/.test(said) ||
    (name === "TypeError" && /fetch/.test(message ?? ""));
  if (isAway) {
    return new DomainError("SIGN_IN_UNAVAILABLE", "The provider of identities does not answer.", {
      cause: error,
      retryAfterMs: 2_000,
    });
  }
  const why = said !== "" ? `The provider said: ${said}.` : "The provider's answer is not good.";
  return new DomainError("SIGN_IN_REFUSED", why, { metadata: { rule: "provider" }, cause: error });
}
