import { type ServiceName, serviceNames } from "#common/service-names.ts";
import { type Settings, servicePorts } from "../state/settings.ts";
import { tlsEnvironment } from "../tls/tls-environment.ts";
import { nodePart } from "./node.ts";
import type { Mesh, Part } from "./part.ts";
import { recordsEnvironment } from "./records-environment.ts";
import { replicasOf } from "./replicas.ts";
import { checkoutStripe } from "./stripe-environment.ts";

/** The services that need the ledger; Attestor and Checkout need records alone. */
const onLedger: readonly ServiceName[] = ["clearing", "ledger", "eventstream"];

/** One of the services. `user`: the user's environment, with what it says of Stripe. */
export function servicePart(mesh: Mesh, name: ServiceName, user: NodeJS.ProcessEnv): Part {
  const { settings, identity, keys } = mesh;
  const { host } = settings;
  const ports = settings.ports.services[name];
  const replicas = onLedger.includes(name) ? replicasOf(settings, identity) : [];
  return nodePart(mesh, {
    name,
    dependsOn: ["postgres", ...replicas.map((replica) => replica.name)],
    ports: servicePorts(name, ports),
    main: `services/${name}/main.ts`,
    readyUrl: `http://${host}:${ports.metrics}/readyz`,
    environment: {
      ...serviceAddresses(settings),
      ...tlsEnvironment(settings, name),
      // What the mesh sets itself must not come from two sides; empty is absent.
      JWT_JWKS_URL: "",
      DATABASE_URL: "",
      ATTESTOR_PRIVATE_KEY: "",
      CHECKOUT_CREDENTIAL_KEY: "",
      EMBEDDED_LEDGER_PATH: "",
      TIGERBEETLE_ADDRESSES: "",
      GRPC_ADDRESS: `${host}:${ports.grpc}`,
      CONNECT_ADDRESS: `${host}:${ports.connect}`,
      METRICS_ADDRESS: `${host}:${ports.metrics}`,
      JWT_JWKS_FILE: keys.jwks,
      JWT_ISSUER: settings.jwt.issuer,
      JWT_AUDIENCE: settings.jwt.audience,
      ...recordsEnvironment(settings, identity, keys, keys.databaseLogins[name].url),
      ...ownEnvironment(mesh, name, user),
    },
  });
}

/** Where every service is found, in the services' words. */
export function serviceAddresses({ host, ports }: Settings): NodeJS.ProcessEnv {
  return Object.fromEntries(
    serviceNames.map((name) => [
      `${name.toUpperCase()}_ADDRESS`,
      `${host}:${ports.services[name].grpc}`,
    ]),
  );
}

/** What one service is told and no other part: its keys. */
function ownEnvironment(
  { settings, keys }: Mesh,
  name: ServiceName,
  user: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  switch (name) {
    case "attestor":
      return { ATTESTOR_PRIVATE_KEY_FILE: keys.attestor };
    case "checkout":
      return {
        CHECKOUT_CREDENTIAL_KEY_FILE: keys.checkout,
        ...checkoutStripe(settings, keys, user),
      };
    default:
      return {};
  }
}
