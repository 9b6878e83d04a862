import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLocalJWKSet, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensureKeys, keyFiles } from "./keys.ts";
import { readSettings } from "./settings.ts";
import { parseScopes, scopes, signToken } from "./token.ts";

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
});

describe("ensureKeys", () => {
  it("keeps the keys that are there", async () => {
    const read = () =>
      Object.values(keyFiles(settings))
        .slice(1, 6)
        .map((file) => readFileSync(file, "utf8"));
    const before = read();
    await ensureKeys(settings);
    expect(read()).toEqual(before);
  });
});

describe("parseScopes", () => {
  it("takes spaces, commas and repetition alike", () => {
    const expected = ["ledger.read", "attest", "attest.house"];
    expect(parseScopes(["ledger.read,attest", "attest attest.house"])).toEqual(expected);
  });

  it("means all scopes by none", () => {
    expect(parseScopes([])).toEqual(scopes);
    expect(scopes).toContain("clearing.write");
    expect(scopes).not.toContain("unspecified");
  });

  it("names an unknown one", () => {
    expect(() => parseScopes(["ledger.write"])).toThrow('unknown scope "ledger.write"');
  });
});
