import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLocalJWKSet, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { roles, serviceScopes, signInScopes } from "#common/roles.ts";
import { ensureKeys, keyFiles } from "../state/keys.ts";
import { readSettings } from "../state/settings.ts";
import { parseScopes, scopes, scopesOfRole, signToken } from "./token.ts";

const settings = readSettings({ MESH_STATE: mkdtempSync(join(tmpdir(), "sovr-keys-")) });
beforeAll(() => ensureKeys(settings));
afterAll(() => rmSync(settings.state, { recursive: true, force: true }));

async function verify(token: string) {
  const jwks = createLocalJWKSet(JSON.parse(readFileSync(keyFiles(settings).jwks, "utf8")));
  return jwtVerify(token, jwks, { issuer: "sovr", audience: "sovr-mesh", algorithms: ["EdDSA"] });
}

describe("signToken", () => {
  it("carries every scope for an hour by default", async () => {
    const { payload } = await verify(await signToken(settings));
    expect(payload).toMatchObject({ sub: "developer", scope: scopes.join(" ") });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(3_600);
  });

  it("is bound to a wallet if told so", async () => {
    const wallet = "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4";
    const token = await signToken(settings, { wallet, scopes: ["attest"], seconds: 60 });
    const { payload } = await verify(token);
    expect(payload).toMatchObject({ sub: wallet, wallet, scope: "attest" });
  });

  it("that is bound carries a shopper's scopes by default", async () => {
    const wallet = "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4";
    const { payload } = await verify(await signToken(settings, { wallet }));
    expect(payload["scope"]).toBe(roles.shopper.scopes.join(" "));
  });
});

it("a token that is bound to a merchant carries a merchant's scopes by default", async () => {
  const { payload } = await verify(await signToken(settings, { merchant: "market-1" }));
  const scope = roles.merchant.scopes.join(" ");
  expect(payload).toMatchObject({ sub: "market-1", merchant: "market-1", scope });
});

describe("ensureKeys", () => {
  const { stripe, folder, databaseUrl: _, databaseLogins, ...own } = keyFiles(settings);
  const passwords = Object.values(databaseLogins).map(({ password }) => password);
  const read = (file: string) => readFileSync(file, "utf8");

  it("keeps the keys that are there", async () => {
    const files = [...Object.values(own), ...Object.values(stripe), ...passwords];
    const before = files.map(read);
    await ensureKeys(settings);
    expect(files.map(read)).toEqual(before);
  });

  it("lets services trust Checkout's own key beside the issuer's, also of keys made before it", async () => {
    const issuer = read(own.issuer);
    rmSync(own.checkout);
    await ensureKeys(settings);
    expect(read(own.issuer)).toBe(issuer);
    const publicHalf = (file: string) => {
      const { d, ...shared } = JSON.parse(read(file)) as Record<string, string>;
      expect(d).toBeDefined();
      return { ...shared, use: "sig" };
    };
    expect(JSON.parse(read(own.jwks))).toEqual({
      keys: [
        { ...publicHalf(own.issuer), sovr_scopes: scopes },
        { ...publicHalf(own.checkout), sovr_scopes: serviceScopes.checkout },
        { ...publicHalf(own.studio), sovr_scopes: signInScopes },
      ],
    });
    await verify(await signToken(settings));
  });

  it("makes keys for a simulated Stripe that only their owner reads", () => {
    expect(read(stripe.secretKey)).toMatch(/^sk_test_simulator_[0-9a-f]{48}$/);
    expect(read(stripe.publishableKey)).toMatch(/^pk_test_simulator_[0-9a-f]{48}$/);
    expect(read(stripe.webhookSecret)).toMatch(/^whsec_[0-9a-f]{48}$/);
    const { jwks: __, signers: ___, ...secret } = own;
    for (const file of [...Object.values(secret), ...Object.values(stripe), ...passwords]) {
      expect(statSync(file).mode & 0o777).toBe(0o600);
    }
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });
});

describe("parseScopes", () => {
  it("takes spaces, commas and repetition alike", () => {
    const expected = ["ledger.read", "attest", "attest.house"];
    expect(parseScopes(["ledger.read,attest", "attest attest.house"])).toEqual(expected);
  });

  it("leaves none to the default, which is every scope there is", () => {
    expect(parseScopes([])).toBeUndefined();
    expect(scopes).toContain("clearing.write");
    expect(scopes).not.toContain("unspecified");
  });

  it("names an unknown one", () => {
    expect(() => parseScopes(["ledger.write"])).toThrow('unknown scope "ledger.write"');
  });
});

describe("scopesOfRole", () => {
  it("knows each role of people by scopes that exist", () => {
    for (const [name, { boundBy, scopes: own }] of Object.entries(roles)) {
      if (name === "service") continue;
      expect(scopesOfRole(name, boundBy)).toEqual(own);
      expect(scopes).toEqual(expect.arrayContaining([...own]));
    }
  });

  it("says what does not fit", () => {
    expect(() => scopesOfRole("king", undefined)).toThrow(
      'unknown role "king": the roles are shopper',
    );
    expect(() => scopesOfRole("service", undefined)).toThrow("name them with --scope");
    expect(() => scopesOfRole("shopper", undefined)).toThrow("needs --wallet");
    expect(() => scopesOfRole("merchant", "wallet")).toThrow("needs --merchant");
    expect(() => scopesOfRole("operator", "wallet")).toThrow("bound to no wallet");
  });
});
