import { describe, expect, it } from "vitest";
import { ConfigError } from "#common/process/environment.ts";
import { studioConfig } from "./config.ts";

const key = JSON.stringify({ kty: "OKP", crv: "Ed25519", x: "eA", d: "c2VjcmV0", kid: "k" });

describe("studioConfig", () => {
  it("has the ports of the design, and no /dev/ unless it is given the issuer's key", () => {
    expect(studioConfig({})).toMatchObject({
      connect: { host: "127.0.0.1", port: 5206 },
      metrics: { host: "127.0.0.1", port: 5306 },
      development: undefined,
    });
    expect(studioConfig({ DEVELOPMENT_ISSUER_KEY: "" }).development).toBeUndefined();
  });

  it("takes the key and the peers of a development mesh", () => {
    const env = {
      DEVELOPMENT_ISSUER_KEY: key,
      CLEARING_ADDRESS: "clearing:5100",
      ALLOW_PLAINTEXT: "true",
    };
    expect(studioConfig(env).development).toEqual({
      issuerKey: JSON.parse(key),
      issuer: "sovr",
      audience: "sovr-mesh",
      attestorAddress: "127.0.0.1:5103",
      clearingAddress: "clearing:5100",
    });
  });

  it("knows the key of the simulator from one of Stripe", () => {
    expect(studioConfig({}).stripe).toBeUndefined();
    for (const [publishableKey, simulated] of [
      ["pk_test_simulator_0a", true],
      ["pk_test_51abc", false],
      ["pk_live_51abc", false],
    ] as const) {
      const { stripe } = studioConfig({ STRIPE_PUBLISHABLE_KEY: publishableKey });
      expect(stripe).toEqual({ publishableKey, simulated });
    }
  });

  it("refuses a secret key where a browser would get it, and does not show it", () => {
    const env = { STRIPE_PUBLISHABLE_KEY: "sk_test_c2VjcmV0" };
    expect(() => studioConfig(env)).toThrow(ConfigError);
    expect(() => studioConfig(env)).not.toThrow(/c2VjcmV0/);
  });

  it.each(["production", "prod-eu", "Production"])("refuses the key where it is %s", (name) => {
    const env = { DEVELOPMENT_ISSUER_KEY: key, SOVR_ENVIRONMENT: name };
    expect(() => studioConfig(env)).toThrow(`SOVR_ENVIRONMENT is "${name}"`);
    expect(studioConfig({ SOVR_ENVIRONMENT: name }).development).toBeUndefined();
  });

  it.each([
    "c2VjcmV0",
    "null",
    '{"kty":"OKP","crv":"Ed25519","x":"c2VjcmV0"}',
    '{"kty":"EC","crv":"P-256","x":"a","d":"c2VjcmV0"}',
  ])("refuses what is no such key without showing it: %s", (bad) => {
    expect(() => studioConfig({ DEVELOPMENT_ISSUER_KEY: bad })).toThrow(ConfigError);
    expect(() => studioConfig({ DEVELOPMENT_ISSUER_KEY: bad })).not.toThrow(/c2VjcmV0/);
  });
});
