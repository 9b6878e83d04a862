import type { KeyFiles } from "../state/keys.ts";
import { studioPorts } from "../state/settings.ts";
import { tlsEnvironment } from "../tls/tls-environment.ts";
import { signInEnvironment } from "./identity.ts";
import { nodePart } from "./node.ts";
import type { Mesh, Part } from "./part.ts";
import { serviceAddresses } from "./service.ts";
import { studioStripe } from "./stripe-environment.ts";
import { buildStudio, isStudioBuilt } from "./studio-build.ts";

/**
 * Studio's server. What it gives away in /dev/ needs the services, but its start does not. `user`: the user's
 * environment, with what it says of Stripe.
 */
export function studioPart(
  mesh: Mesh,
  user: NodeJS.ProcessEnv,
  onInstall: (what: string) => void,
): Part {
  const { settings, identity, keys } = mesh;
  const { host, root } = settings;
  const { connect, metrics } = settings.ports.studio;
  return nodePart(mesh, {
    name: "studio",
    // Of the others nothing needs to be there for its start.
    dependsOn: settings.signIn ? ["postgres"] : [],
    ports: studioPorts(settings.ports.studio),
    main: "services/studio/main.ts",
    readyUrl: `http://${host}:${metrics}/readyz`,
    async prepare(signal) {
      if (isStudioBuilt(root)) return;
      onInstall("Studio");
      await buildStudio(root, signal);
    },
    environment: {
      CONNECT_ADDRESS: `${host}:${connect}`,
      METRICS_ADDRESS: `${host}:${metrics}`,
      SOVR_ENVIRONMENT: identity.environment,
      ...tlsEnvironment(settings, "studio"),
      JWT_ISSUER: settings.jwt.issuer,
      JWT_AUDIENCE: settings.jwt.audience,
      ...developmentEnvironment(identity.environment, keys),
      ...signInEnvironment(mesh, user),
      ...studioStripe(settings, keys, user),
      ...serviceAddresses(settings),
    },
  });
}

/** The key with which Studio gives tokens and play money to everybody; a mesh that calls itself production has none. */
function developmentEnvironment(environment: string, keys: KeyFiles): NodeJS.ProcessEnv {
  const key = /^prod/i.test(environment) ? "" : keys.issuer;
  return { DEVELOPMENT_ISSUER_KEY: "", DEVELOPMENT_ISSUER_KEY_FILE: key };
}
