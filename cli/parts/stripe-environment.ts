import type { KeyFiles } from "../state/keys.ts";
import type { Settings } from "../state/settings.ts";

/** What the user's environment may say of Stripe. Only whom it concerns is told it. */
const secretNames = [
  "STRIPE_SECRET_KEY",
  "STRIPE_SECRET_KEY_FILE",
  "STRIPE_WEBHOOK_SECRET",
  "STRIPE_WEBHOOK_SECRET_FILE",
] as const;
const publishableNames = ["STRIPE_PUBLISHABLE_KEY", "STRIPE_PUBLISHABLE_KEY_FILE"] as const;
const checkoutNames = [...secretNames, "STRIPE_API_URL"] as const;

/** An environment in which nothing is said of Stripe. Empty is absent. */
export function withoutStripe(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const empty = [...checkoutNames, ...publishableNames].map((name) => [name, ""]);
  return { ...environment, ...(Object.fromEntries(empty) as NodeJS.ProcessEnv) };
}

/** How Checkout reaches Stripe: by the user's keys, or else the simulator by the mesh's own. */
export function checkoutStripe(
  settings: Settings,
  keys: KeyFiles,
  user: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  const { stripeSim } = settings.ports;
  if (stripeSim === undefined) return pick(user, checkoutNames);
  return {
    STRIPE_SECRET_KEY_FILE: keys.stripe.secretKey,
    STRIPE_WEBHOOK_SECRET_FILE: keys.stripe.webhookSecret,
    STRIPE_API_URL: `${settings.tls ? "https" : "http"}://${settings.host}:${stripeSim}`,
  };
}

/** With what Studio's page pays. */
export function studioStripe(
  settings: Settings,
  keys: KeyFiles,
  user: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  if (settings.ports.stripeSim === undefined) return pick(user, publishableNames);
  return { STRIPE_PUBLISHABLE_KEY_FILE: keys.stripe.publishableKey };
}

function pick(user: NodeJS.ProcessEnv, names: readonly string[]): NodeJS.ProcessEnv {
  return Object.fromEntries(names.map((name) => [name, user[name]]));
}
