import { describe, expect, it } from "vitest";
import { checkoutConfig } from "./config.ts";

const environment = {
  DATABASE_URL: "postgres://sovr@127.0.0.1:5433/sovr",
  CHECKOUT_CREDENTIAL_KEY: "{}",
  JWT_JWKS_FILE: "/keys/jwks.json",
};
const stripe = {
  STRIPE_SECRET_KEY: "sk_test_1",
  STRIPE_WEBHOOK_SECRET: "whsec_12345678",
};

describe("Checkout's configuration", () => {
  it("has no cards without a key, half an hour to pay, and INSTACART_CLEARING as the agent", () => {
    const config = checkoutConfig(environment);
    expect(config.stripe).toBeUndefined();
    expect(config.lifetimeMs).toBe(1_800_000);
    expect(config.honoringAgentId).toBe(3_000_002n);
    expect(config).toMatchObject({ openPerWallet: 20, checkoutsPerWalletAndMinute: 120 });
    expect(config.runtime.grpc.port).toBe(5105);
  });

  it("reads Stripe's keys, several webhook secrets while they rotate, and where the simulator is", () => {
    const config = checkoutConfig({
      ...environment,
      ...stripe,
      STRIPE_WEBHOOK_SECRET: "whsec_new45678,whsec_old45678",
      STRIPE_API_URL: "http://127.0.0.1:5400",
    });
    expect(config.stripe?.webhookSecrets).toEqual(["whsec_new45678", "whsec_old45678"]);
    expect(config.stripe?.apiUrl?.port).toBe("5400");
  });

  it.each([
    ["CHECKOUT_CREDENTIAL_KEY", { CHECKOUT_CREDENTIAL_KEY: "" }],
    ["STRIPE_SECRET_KEY", { ...stripe, STRIPE_SECRET_KEY: "pk_test_1" }],
    ["STRIPE_WEBHOOK_SECRET", { ...stripe, STRIPE_WEBHOOK_SECRET: "" }],
    ["STRIPE_WEBHOOK_SECRET", { ...stripe, STRIPE_WEBHOOK_SECRET: "whsec_12345678," }],
    [
      "STRIPE_API_URL",
      { ...stripe, STRIPE_SECRET_KEY: "sk_live_1", STRIPE_API_URL: "http://127.0.0.1:5400" },
    ],
    ["STRIPE_API_URL", { ...stripe, STRIPE_API_URL: "http://127.0.0.1:5400/stripe" }],
    ["CHECKOUT_LIFETIME_SECONDS", { CHECKOUT_LIFETIME_SECONDS: "0" }],
    ["OPEN_CHECKOUTS_PER_WALLET", { OPEN_CHECKOUTS_PER_WALLET: "0" }],
    ["CHECKOUTS_PER_WALLET_AND_MINUTE", { CHECKOUTS_PER_WALLET_AND_MINUTE: "many" }],
    ["CHECKOUT_HONORING_AGENT", { CHECKOUT_HONORING_AGENT: "3000001" }],
    ["CHECKOUT_HONORING_AGENT", { CHECKOUT_HONORING_AGENT: "4000001" }],
  ])("names %s when it is bad, and shows no secret", (variable, bad) => {
    let message = "";
    try {
      checkoutConfig({ ...environment, ...bad });
    } catch (error) {
      message = String(error);
    }
    expect(message).toContain(variable);
    expect(message).not.toMatch(/_test_1|_live_1|whsec_\d/);
  });
});
