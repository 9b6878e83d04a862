import { expect, it } from "vitest";
import { keyFiles } from "../state/keys.ts";
import { readSettings } from "../state/settings.ts";
import { stripeSimEnvironment } from "./stripe-sim.ts";

it("has the simulator's webhooks come in through Envoy, signed as Checkout expects", () => {
  const settings = readSettings({ ENVOY_PORT: "18080", STRIPE_SIM_PORT: "15400" });
  const keys = keyFiles(settings);
  expect(stripeSimEnvironment(settings, keys, 15400)).toEqual({
    STRIPE_SIM_ADDRESS: "127.0.0.1:15400",
    METRICS_ADDRESS: "127.0.0.1:5307",
    STRIPE_SIM_PATH: `${settings.state}/stripe-sim.db`,
    STRIPE_SECRET_KEY_FILE: keys.stripe.secretKey,
    STRIPE_PUBLISHABLE_KEY_FILE: keys.stripe.publishableKey,
    STRIPE_SIM_WEBHOOK_URL: "http://127.0.0.1:18080/webhooks/stripe",
    STRIPE_WEBHOOK_SECRET_FILE: keys.stripe.webhookSecret,
  });
});
