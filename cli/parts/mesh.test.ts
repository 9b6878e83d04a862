import { describe, expect, it } from "vitest";
import { keyFiles } from "../state/keys.ts";
import { readSettings } from "../state/settings.ts";
import { meshParts } from "./mesh.ts";
import type { Part } from "./part.ts";

const identity = {
  engine: "embedded",
  external: false,
  clusterId: "1",
  environment: "development",
  chainId: "31337",
  verifyingContract: "0x000000000000000000000000000000000000dEaD",
} as const;

function partsOf(environment: NodeJS.ProcessEnv): Part[] {
  const settings = readSettings(environment);
  return meshParts({ settings, identity, keys: keyFiles(settings), environment });
}

const names = (parts: readonly Part[]) => parts.map(({ name }) => name);
/** PostgreSQL and Envoy write files to be launched. */
const isNode = ({ name }: Part) => name !== "postgres" && name !== "envoy";

describe("meshParts", () => {
  it("has Checkout beside the other services, and a simulator of Stripe", () => {
    const parts = partsOf({});
    expect(names(parts)).toEqual([
      "postgres",
      "ledger",
      "clearing",
      "attestor",
      "eventstream",
      "checkout",
      "stripe-sim",
      "studio",
      "envoy",
    ]);
    expect(parts.find(({ name }) => name === "checkout")?.dependsOn).toEqual(["postgres"]);
    expect(parts.at(-1)?.dependsOn).toEqual(expect.arrayContaining(["checkout", "stripe-sim"]));
  });

  it("has no simulator where the user has a key for Stripe", () => {
    const parts = partsOf({ STRIPE_SECRET_KEY: "sk_test_own" });
    expect(names(parts)).not.toContain("stripe-sim");
    expect(parts.at(-1)?.dependsOn).not.toContain("stripe-sim");
  });

  it("tells the secrets of Stripe to Checkout alone, and no part of an account's to the simulator", async () => {
    const own = { STRIPE_SECRET_KEY: "sk_test_own", STRIPE_WEBHOOK_SECRET: "whsec_own" };
    const told = async (parts: readonly Part[], pattern: RegExp) => {
      const launched = await Promise.all(
        parts.filter(isNode).map(async (part) => [part.name, (await part.launch()).env] as const),
      );
      return launched
        .filter(([, env]) => Object.values(env).some((value) => pattern.test(value ?? "")))
        .map(([name]) => name);
    };
    expect(await told(partsOf(own), /sk_test_own/)).toEqual(["checkout"]);
    expect(await told(partsOf(own), /whsec_own/)).toEqual(["checkout"]);
    const simulated = partsOf({ STRIPE_WEBHOOK_SECRET: "whsec_own" });
    expect(await told(simulated, /whsec_own/)).toEqual([]);
    expect(await told(simulated, /stripe-secret-key$/)).toEqual(["checkout", "stripe-sim"]);
    expect(await told(simulated, /stripe-webhook-secret$/)).toEqual(["checkout", "stripe-sim"]);
    expect((await told(simulated, /stripe-publishable-key$/)).sort()).toEqual([
      "stripe-sim",
      "studio",
    ]);
    expect(await told(simulated, /checkout\.jwk$/)).toEqual(["checkout"]);
  });
});
