// Goal: a bad setting stops the start and names itself, a secret never does. Method: environments and what is read of them.
import { expect, test } from "vitest";
import { stripeSimConfig } from "./config.ts";

const keys = { STRIPE_SECRET_KEY: "sk_test_a,rk_test_b", STRIPE_PUBLISHABLE_KEY: "pk_test_a" };

test("nothing but keys set is a simulator on the loopback address that keeps nothing", () => {
  expect(stripeSimConfig(keys)).toMatchObject({
    keys: ["sk_test_a", "rk_test_b", "pk_test_a"],
    address: { host: "127.0.0.1", port: 5400 },
    path: "",
    webhook: undefined,
    retryFirstMs: 1_000,
  });
});

test("webhooks are signed by every secret", () => {
  const env = {
    STRIPE_SIM_WEBHOOK_URL: "http://127.0.0.1:8080/webhooks/stripe",
    STRIPE_WEBHOOK_SECRET: "whsec_new, whsec_old",
  };
  expect(stripeSimConfig({ ...keys, ...env }).webhook).toEqual({
    url: "http://127.0.0.1:8080/webhooks/stripe",
    secrets: ["whsec_new", "whsec_old"],
  });
});

test.each([
  [{ STRIPE_SIM_ADDRESS: "nowhere" }, /STRIPE_SIM_ADDRESS is "nowhere"/],
  [{ STRIPE_SIM_WEBHOOK_URL: "ftp://x" }, /STRIPE_SIM_WEBHOOK_URL/],
  [{ STRIPE_SIM_WEBHOOK_URL: "http://x/" }, /STRIPE_WEBHOOK_SECRET is missing/],
  [{ STRIPE_SIM_RETRY_FIRST_MS: "0" }, /STRIPE_SIM_RETRY_FIRST_MS is "0"/],
  [{ STRIPE_SIM_OBJECTS_MAX: "many" }, /STRIPE_SIM_OBJECTS_MAX is "many"/],
  [{ STRIPE_SECRET_KEY: "" }, /STRIPE_SECRET_KEY is/],
  [{ STRIPE_SECRET_KEY: "pk_test_a" }, /STRIPE_SECRET_KEY is "\(hidden\)"/],
  [{ STRIPE_SECRET_KEY: `sk_${"live"}_a` }, /STRIPE_SECRET_KEY is "\(hidden\)"/],
  [{ STRIPE_PUBLISHABLE_KEY: "sk_test_a" }, /STRIPE_PUBLISHABLE_KEY is "\(hidden\)"/],
  [{ SOVR_ENVIRONMENT: "production" }, /SOVR_ENVIRONMENT is "production": .*simulator/],
])("%o is refused", (env, message) => {
  expect(() => stripeSimConfig({ ...keys, ...env })).toThrow(message);
});
