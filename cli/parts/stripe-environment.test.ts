import { describe, expect, it } from "vitest";
import { keyFiles } from "../state/keys.ts";
import { readSettings } from "../state/settings.ts";
import { checkoutStripe, studioStripe, withoutStripe } from "./stripe-environment.ts";

const user = {
  PATH: "/bin",
  STRIPE_SECRET_KEY: "sk_test_own",
  STRIPE_WEBHOOK_SECRET_FILE: "/own/secret",
  STRIPE_PUBLISHABLE_KEY: "pk_test_own",
};

describe("a mesh without a key for Stripe", () => {
  const settings = readSettings({ ENVOY_PORT: "18080", STRIPE_SIM_PORT: "15400" });
  const { stripe } = keyFiles(settings);

  it("has Checkout and Studio pay in the simulator, whatever else the environment says", () => {
    const { STRIPE_SECRET_KEY: _, ...left } = { ...user, STRIPE_API_URL: "https://elsewhere" };
    expect(checkoutStripe(settings, keyFiles(settings), left)).toEqual({
      STRIPE_SECRET_KEY_FILE: stripe.secretKey,
      STRIPE_WEBHOOK_SECRET_FILE: stripe.webhookSecret,
      STRIPE_API_URL: "http://127.0.0.1:15400",
    });
    expect(studioStripe(settings, keyFiles(settings), left)).toEqual({
      STRIPE_PUBLISHABLE_KEY_FILE: stripe.publishableKey,
    });
  });
});

describe("a mesh with the user's keys for Stripe", () => {
  const settings = readSettings(user);

  it("gives the secret ones to Checkout and the other to Studio", () => {
    expect(checkoutStripe(settings, keyFiles(settings), user)).toEqual({
      STRIPE_SECRET_KEY: "sk_test_own",
      STRIPE_WEBHOOK_SECRET_FILE: "/own/secret",
    });
    expect(studioStripe(settings, keyFiles(settings), user)).toEqual({
      STRIPE_PUBLISHABLE_KEY: "pk_test_own",
    });
  });

  it("shows them to nobody else", () => {
    const { PATH, ...rest } = withoutStripe(user);
    expect(PATH).toBe("/bin");
    expect(Object.values(rest).join("")).toBe("");
  });
});
