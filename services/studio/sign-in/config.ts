import {
  ConfigError,
  type Environment,
  readInteger,
  readOptionalSecret,
  readOptionalString,
  readSecret,
  readString,
  readU128,
} from "#common/process/environment.ts";
import { personRoles, type RoleName } from "#common/roles.ts";
import { type IssuerKey, parseIssuerKey } from "../issuer-key.ts";

/** What it takes to sign in. */
export interface SignInConfig {
  /** Where browsers reach the mesh: "https://pay.example.com". Wallets sign for it, and requests must come from it. */
  readonly origin: string;
  /** Whether that is encrypted; cookies then go nowhere else. */
  readonly isSecure: boolean;
  readonly databaseUrl: string;
  /** The key that signs tokens, Ed25519. */
  readonly tokenKey: IssuerKey;
  readonly issuer: string;
  readonly audience: string;
  /** What wallets sign for beside the origin. */
  readonly chainId: bigint;
  /** A session in which nothing is asked for so long is over, in seconds. */
  readonly idleSeconds: number;
  /** Every session is over after so long, in seconds. */
  readonly sessionSeconds: number;
  /** Who knows people. Undefined: wallets alone sign in. */
  readonly provider: ProviderConfig | undefined;
}

/** A provider of identities that speaks OpenID Connect. */
export interface ProviderConfig {
  /** Its issuer, whose /.well-known/openid-configuration says the rest. */
  readonly issuer: URL;
  readonly clientId: string;
  /** Undefined: a public client, held by PKCE alone. */
  readonly clientSecret: string | undefined;
  readonly scope: string;
  /** The claim of the ID token that names what a person may do. */
  readonly rolesClaim: string;
  /** By a name in that claim, what it is here. */
  readonly roleNames: ReadonlyMap<string, RoleName>;
}

/** Throws ConfigError. Undefined: there is no sign-in here, as SIGN_IN_ORIGIN says nothing. */
export function readSignIn(env: Environment): SignInConfig | undefined {
  const given = readOptionalString(env, "SIGN_IN_ORIGIN");
  if (given === undefined) return undefined;
  const origin = parseOrigin(given);
  const seconds = { min: 60, max: 604_800 };
  const idleSeconds = readInteger(env, "SIGN_IN_IDLE_SECONDS", { ...seconds, fallback: 1_800 });
  return Object.freeze({
    origin: origin.origin,
    isSecure: origin.protocol === "https:",
    databaseUrl: readSecret(env, "DATABASE_URL"),
    tokenKey: parseIssuerKey("SIGN_IN_KEY", readSecret(env, "SIGN_IN_KEY")),
    issuer: readString(env, "JWT_ISSUER", "sovr"),
    audience: readString(env, "JWT_AUDIENCE", "sovr-mesh"),
    chainId: readU128(env, "EIP712_CHAIN_ID", 31_337n),
    idleSeconds,
    sessionSeconds: readInteger(env, "SIGN_IN_SECONDS", { ...seconds, fallback: 43_200 }),
    provider: readProvider(env),
  });
}

function parseOrigin(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const wrong = (rule: string) => new ConfigError("SIGN_IN_ORIGIN", text, rule);
  if (url === undefined || url.origin !== text)
    throw wrong("expected an origin, such as https://pay.example.com, and nothing after it");
  if (url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url))) return url;
  throw wrong("expected https: a session that goes in the clear is everybody's");
}

/** Whether nothing leaves this machine on the way there. */
export function isLoopback({ hostname }: URL): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}

function readProvider(env: Environment): ProviderConfig | undefined {
  const text = readOptionalString(env, "OIDC_ISSUER");
  if (text === undefined) return undefined;
  const issuer = URL.canParse(text) ? new URL(text) : undefined;
  if (issuer === undefined || !(issuer.protocol === "https:" || isLoopback(issuer)))
    throw new ConfigError("OIDC_ISSUER", text, "expected the https address of a provider");
  return Object.freeze({
    issuer,
    clientId: readString(env, "OIDC_CLIENT_ID"),
    clientSecret: readOptionalSecret(env, "OIDC_CLIENT_SECRET"),
    scope: readString(env, "OIDC_SCOPE", "openid profile"),
    rolesClaim: readString(env, "OIDC_ROLES_CLAIM", "roles"),
    roleNames: parseRoleNames(readOptionalString(env, "OIDC_ROLES")),
  });
}

/** "treasury=treasurer, on-call=operator"; without it the claim has the names of this mesh. */
function parseRoleNames(text: string | undefined): ReadonlyMap<string, RoleName> {
  if (text === undefined) return new Map(personRoles.map((role) => [role, role]));
  const pairs = text.split(",").map((pair) => pair.trim().split("="));
  return new Map(
    pairs.map(([name = "", role = "", ...more]) => {
      const known = personRoles.find((one) => one === role);
      if (name !== "" && known !== undefined && more.length === 0) return [name, known] as const;
      const rule = `expected NAME=ROLE, …, where a role is one of ${personRoles.join(", ")}`;
      throw new ConfigError("OIDC_ROLES", text, rule);
    }),
  );
}
