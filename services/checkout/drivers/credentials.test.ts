import { generateKeyPairSync } from "node:crypto";
import { createLocalJWKSet, decodeJwt, jwtVerify } from "jose";
import { describe, expect, it } from "vitest";
import { ConfigError } from "#common/process/environment.ts";
import { createCredentials } from "./credentials.ts";

const jwk = { ...generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" }), kid: "own" };
const startMs = 1_800_000_000_000;

function open(key: string = JSON.stringify(jwk)) {
  let nowMs = startMs;
  const credentials = createCredentials({
    key,
    issuer: "sovr",
    audience: "sovr-mesh",
    nowMs: () => nowMs,
  });
  return {
    token: () => credentials.token(),
    setMinutes(minutes: number) {
      nowMs = startMs + minutes * 60_000;
    },
  };
}

describe("token", () => {
  it("lets Checkout do at its peers what it must and no more, for ten minutes", async () => {
    const { d: _, ...shared } = jwk;
    const { payload, protectedHeader } = await jwtVerify(
      await open().token(),
      createLocalJWKSet({ keys: [{ ...shared, kty: "OKP", alg: "EdDSA" }] }),
      {
        algorithms: ["EdDSA"],
        issuer: "sovr",
        audience: "sovr-mesh",
        currentDate: new Date(startMs),
      },
    );
    expect(protectedHeader).toEqual({ alg: "EdDSA", typ: "JWT", kid: "own" });
    expect(payload).toEqual({
      sub: "checkout",
      iss: "sovr",
      aud: "sovr-mesh",
      scope: "attest.house attest clearing.write wallet.open",
      iat: startMs / 1_000,
      exp: startMs / 1_000 + 600,
    });
  });

  it("stays the same for five minutes, so that its readers need not verify it anew", async () => {
    const { token, setMinutes } = open();
    const [first, beside] = await Promise.all([token(), token()]);
    expect(beside).toBe(first);
    setMinutes(4.99);
    expect(await token()).toBe(first);
    setMinutes(5);
    const second = await token();
    expect(decodeJwt(second).exp).toBe(startMs / 1_000 + 900);
    setMinutes(9.99);
    expect(await token()).toBe(second);
  });

  it("is made anew when the clock was set back", async () => {
    const { token, setMinutes } = open();
    await token();
    setMinutes(-120);
    expect(decodeJwt(await token()).iat).toBe(startMs / 1_000 - 7_200);
  });
});

describe("a bad key", () => {
  const other = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;

  it.each([
    ["no JSON", "-----BEGIN PRIVATE KEY-----"],
    ["null", "null"],
    ["another curve", JSON.stringify(ec.export({ format: "jwk" }))],
    ["no private half", JSON.stringify({ ...jwk, d: undefined })],
    ["no public half", JSON.stringify({ ...jwk, x: undefined })],
    ["a short private half", JSON.stringify({ ...jwk, d: jwk.d?.slice(2) })],
    ["the public half of another", JSON.stringify({ ...jwk, x: other.x })],
  ])("is refused and not shown: %s", (_, key) => {
    const problem = new ConfigError(
      "CHECKOUT_CREDENTIAL_KEY",
      "(hidden)",
      "expected the private JWK of an Ed25519 key",
    );
    expect(() => open(key)).toThrow(problem);
    expect(() => open(key)).toThrow(expect.not.objectContaining({ cause: expect.anything() }));
  });
});
