import { join } from "node:path";
import type { KeyFiles } from "../state/keys.ts";
import { edgeUrl, type Settings, stripeSimPorts } from "../state/settings.ts";
import { tlsEnvironment } from "../tls/tls-environment.ts";
import { authorityFiles } from "../tls/tls-files.ts";
import { nodePart } from "./node.ts";
import type { Mesh, Part } from "./part.ts";

/** The simulator of Stripe, where nobody gave a key for Stripe itself. Whoever needs it waits for it by itself. */
export function stripeSimPart(mesh: Mesh, port: number): Part {
  const { settings, identity, keys } = mesh;
  return nodePart(mesh, {
    name: "stripe-sim",
    dependsOn: [],
    ports: stripeSimPorts(settings.ports),
    main: "services/stripe-sim/main.ts",
    readyUrl: `http://${settings.host}:${settings.ports.stripeSimMetrics}/readyz`,
    environment: {
      SOVR_ENVIRONMENT: identity.environment,
      ...tlsEnvironment(settings, "stripe-sim"),
      ...stripeSimEnvironment(settings, keys, port),
    },
  });
}

/** What the simulator is told. Its webhooks come in through Envoy, as Stripe's do. */
export function stripeSimEnvironment(
  settings: Settings,
  keys: KeyFiles,
  port: number,
): NodeJS.ProcessEnv {
  const { host, ports, state, tls } = settings;
  return {
    STRIPE_SIM_ADDRESS: `${host}:${port}`,
    METRICS_ADDRESS: `${host}:${ports.stripeSimMetrics}`,
    STRIPE_SIM_PATH: join(state, "stripe-sim.db"),
    STRIPE_SECRET_KEY_FILE: keys.stripe.secretKey,
    STRIPE_PUBLISHABLE_KEY_FILE: keys.stripe.publishableKey,
    STRIPE_SIM_WEBHOOK_URL: `${edgeUrl(settings)}/webhooks/stripe`,
    // It calls whatever it is told to, as Stripe does, and knows the edge as a client outside does.
    ...(tls ? { NODE_EXTRA_CA_CERTS: authorityFiles(settings).certificate } : {}),
    STRIPE_WEBHOOK_SECRET_FILE: keys.stripe.webhookSecret,
  };
}
