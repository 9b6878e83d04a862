import { type Environment, readOptionalString } from "#common/process/environment.ts";
import { Problem } from "../command/problem.ts";
import { edgeUrl, type Settings } from "../state/settings.ts";
import { nodePart } from "./node.ts";
import type { Mesh, Part } from "./part.ts";

/** What Studio is called at the provider of identities that runs here. */
const clientId = "sovr-studio";
/** As Studio's server has it. */
const callbackPath = "/sign-in/oidc/callback";

/** Whether a provider of identities runs here: people sign in, and nobody named another. */
export function runsIdentity({ signIn, identityHere }: Settings): boolean {
  return signIn && identityHere;
}

/** Where browsers sign in. */
function originOf(settings: Settings, user: Environment): string {
  return readOptionalString(user, "SIGN_IN_ORIGIN") ?? edgeUrl(settings);
}

const issuerOf = ({ host, ports }: Settings) => `http://${host}:${ports.identity}`;

/** A provider of identities for development, with a person for each role and no passwords. */
export function identityPart(mesh: Mesh): Part {
  const { settings, identity, keys } = mesh;
  if (/^prod/i.test(identity.environment)) {
    throw new Problem(
      "--sign-in: name your provider of identities in OIDC_ISSUER; the one that ./mesh brings lets anybody be anybody",
    );
  }
  const issuer = issuerOf(settings);
  return nodePart(mesh, {
    name: "identity",
    dependsOn: [],
    ports: [{ variable: "IDENTITY_PORT", port: settings.ports.identity }],
    main: "cli/identity/main.ts",
    readyUrl: `${issuer}/healthz`,
    environment: {
      IDENTITY_ADDRESS: `${settings.host}:${settings.ports.identity}`,
      IDENTITY_CLIENT_ID: clientId,
      IDENTITY_CLIENT_SECRET: "",
      IDENTITY_CLIENT_SECRET_FILE: keys.oidcClientSecret,
      IDENTITY_REDIRECT: `${originOf(settings, mesh.environment)}${callbackPath}`,
    },
  });
}

/** What Studio is told of signing in: nothing, unless that was asked for. */
export function signInEnvironment(mesh: Mesh, user: Environment): NodeJS.ProcessEnv {
  const { settings, identity, keys } = mesh;
  if (!settings.signIn) return { SIGN_IN_ORIGIN: "" };
  const ours = {
    OIDC_ISSUER: issuerOf(settings),
    OIDC_CLIENT_ID: clientId,
    OIDC_CLIENT_SECRET: "",
    OIDC_CLIENT_SECRET_FILE: keys.oidcClientSecret,
  };
  return {
    SIGN_IN_ORIGIN: originOf(settings, user),
    SIGN_IN_KEY: "",
    SIGN_IN_KEY_FILE: keys.studio,
    DATABASE_URL: "",
    DATABASE_URL_FILE: keys.databaseLogins.studio.url,
    EIP712_CHAIN_ID: identity.chainId,
    ...(runsIdentity(settings) ? ours : {}),
  };
}
