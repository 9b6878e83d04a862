// Goal: whoever gets at a key gets no more than was given to the key. Method: the rule alone, and tokens of keys whose entries
// say one thing or another.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigError } from "#common/process/environment.ts";
import { createLogger } from "#common/process/logger.ts";
import { parseKeyRights } from "./key-rights.ts";
import { openKeyStore } from "./key-store.ts";
import { createTokenVerifier } from "./token-verifier.ts";

const wallet = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const keys = generateKeyPair("EdDSA");
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "key-rights-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function storeOf(entry: object) {
  const { publicKey } = await keys;
  const path = join(folder, "jwks.json");
  const jwk = { ...(await exportJWK(publicKey)), kid: "a", alg: "EdDSA", ...entry };
  writeFileSync(path, JSON.stringify({ keys: [jwk] }));
  return openKeyStore({ kind: "file", path }, createLogger("test", "silent"));
}

async function verify(
  entry: object,
  claims: object,
  isDevelopment = false,
  kid: object = { kid: "a" },
) {
  const store = await storeOf(entry);
  const { privateKey } = await keys;
  const token = await new SignJWT({ ...claims })
    .setProtectedHeader({ alg: "EdDSA", ...kid })
    .setSubject("x")
    .setIssuer("sovr")
    .setAudience("sovr-mesh")
    .setIssuedAt()
    .setExpirationTime("5m")
    .sign(privateKey);
  const rules = { issuer: "sovr", audience: "sovr-mesh", isDevelopment };
  const { scopes } = await createTokenVerifier(rules, store).verify(`Bearer ${token}`);
  return [...scopes].sort();
}

const all = { scope: "attest attest.house clearing.write ledger.read" };

describe("a key", () => {
  it("gives the scopes that its entry names, and of these what the token names", async () => {
    const entry = { sovr_scopes: ["attest.house", "clearing.write", "wallet.open"] };
    expect(await verify(entry, all)).toEqual(["attest.house", "clearing.write"]);
    expect(await verify(entry, all, true)).toEqual(["attest.house", "clearing.write"]);
    expect(await verify({ sovr_scopes: [] }, all)).toEqual([]);
  });

  it("without such an entry gives nothing of the house's, but in development", async () => {
    expect(await verify({}, all)).toEqual(["attest", "clearing.write", "ledger.read"]);
    expect(await verify({}, all, true)).toEqual([
      "attest",
      "attest.house",
      "clearing.batch",
      "clearing.write",
      "ledger.read",
    ]);
  });

  it("that a token does not name gives what one without an entry gives", async () => {
    const entry = { sovr_scopes: ["attest.house", "ledger.read"] };
    expect(await verify(entry, all, false, {})).toEqual([
      "attest",
      "clearing.write",
      "ledger.read",
    ]);
  });

  it("cannot give a bound token what no bound token has", async () => {
    const entry = { sovr_scopes: ["attest.house", "attest"] };
    expect(await verify(entry, { ...all, wallet })).toEqual(["attest"]);
  });

  it("of another audience is refused", async () => {
    expect(await verify({ sovr_audience: "sovr-mesh" }, all)).toContain("attest");
    await expect(verify({ sovr_audience: "other" }, all)).rejects.toMatchObject({
      kind: "CREDENTIALS_INVALID",
      metadata: { rule: "aud" },
    });
  });
});

describe("an entry", () => {
  it.each([
    ["sovr_scopes that is a text", { sovr_scopes: "attest" }, "keys[0].sovr_scopes"],
    ["sovr_scopes of numbers", { sovr_scopes: [1] }, "keys[0].sovr_scopes"],
    ["sovr_audience that is a list", { sovr_audience: ["a"] }, "keys[0].sovr_audience"],
    ["rights and no kid", { sovr_scopes: [], kid: undefined }, "keys[0].kid"],
  ])("with %s stops the start", async (_what, entry, field) => {
    await expect(storeOf(entry)).rejects.toThrow(ConfigError);
    await expect(storeOf(entry)).rejects.toThrow(field);
  });

  it("of other keys is no matter", () => {
    expect(parseKeyRights({}).size).toBe(0);
    expect(parseKeyRights({ keys: [{ kty: "RSA" }] }).size).toBe(0);
  });
});
