import { join } from "node:path";
import type { KeyFiles } from "../state/keys.ts";
import { type Settings, stripeSimPorts } from "../state/settings.ts";
import { nodePart } from "./node.ts";
import type { Mesh, Part } from "./part.ts";

/** The simulator of Stripe, where nobody gave a key for Stripe itself. Whoever needs it waits for it by itself. */
export function stripeSimPart(mesh: Mesh, port: number): Part {
  const { settings, identity, keys } = mesh;
  return nodePart(mesh, {
    name: "stripe-sim",
    dependsOn: [],
    ports: stripeSimPorts(port),
    main: "services/stripe-sim/main.ts",
    readyUrl: `http://${settings.host}:${port}/healthz`,
    environment: {
      SOVR_ENVIRONMENT: identity.environment,
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
  const { host, ports, state } = settings;
  return {
    STRIPE_SIM_ADDRESS: `${host}:${port}`,
    STRIPE_SIM_PATH: join(state, "stripe-sim.db"),
    STRIPE_SECRET_KEY_FILE: keys.stripe.secretKey,
    STRIPE_PUBLISHABLE_KEY_FILE: keys.stripe.publishableKey,
    STRIPE_SIM_WEBHOOK_URL: `http://${host}:${ports.envoy}/webhooks/stripe`,
    STRIPE_WEBHOOK_SECRET_FILE: keys.stripe.webhookSecret,
  };
}
