import { renameSync, utimesSync, writeFileSync } from "node:fs";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { ConfigError } from "#common/process/environment.ts";
import { createLogger } from "#common/process/logger.ts";
import { createTokenIssuer, type TokenIssuer } from "../../../test/support/rpc/token-issuer.ts";
import { type KeyStore, openKeyStore } from "./key-store.ts";
import { createTokenVerifier } from "./token-verifier.ts";

const rules = { issuer: "sovr", audience: "sovr-mesh", isDevelopment: false };
const logger = createLogger("test", "silent");
const wallet = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

let issuer: TokenIssuer;
beforeAll(async () => {
  issuer = await createTokenIssuer();
});
afterAll(() => issuer[Symbol.dispose]());

function openKeys(path = issuer.jwksPath): KeyStore {
  return openKeyStore({ kind: "file", path }, logger);
}

async function verify(token: string) {
  return await createTokenVerifier(rules, openKeys()).verify(`Bearer ${token}`);
}

function refusal(rule: string) {
  return expect.objectContaining({ kind: "CREDENTIALS_INVALID", metadata: { rule } });
}

describe("a good token", () => {
  it("tells who calls", async () => {
    const principal = await verify(
      await issuer.token({ scope: "ledger.read  attest", wallet, subject: "alice" }),
    );
    expect(principal).toMatchObject({ subject: "alice", wallet });
    expect([...principal.scopes]).toEqual(["ledger.read", "attest"]);
    expect(principal.expiresAtMs).toBeGreaterThan(Date.now());
  });

  it("that is bound to a wallet loses what is the house's, whatever it names", async () => {
    const scope = "ledger.read attest.house checkout.admin clearing.write attest";
    const bound = await verify(await issuer.token({ scope, wallet }));
    expect([...bound.scopes]).toEqual(["ledger.read", "clearing.write", "attest"]);
    const unbound = await verify(await issuer.token({ scope }));
    expect([...unbound.scopes]).toEqual([...scope.split(" "), "clearing.batch"]);
  });

  it("may be bound to a merchant, with no more than a merchant's scopes", async () => {
    const scope = "ledger.read attest attest.house clearing.write wallet.open checkout.refund";
    const bound = await verify(await issuer.token({ scope, merchant: "market-1" }));
    expect(bound).toMatchObject({ merchant: "market-1", wallet: undefined });
    expect([...bound.scopes]).toEqual(["ledger.read", "checkout.refund"]);
  });

  it("may be signed with ES256", async () => {
    using es256 = await createTokenIssuer("ES256");
    const verifier = createTokenVerifier(rules, openKeys(es256.jwksPath));
    expect(await verifier.verify(`bearer ${await es256.token()}`)).toMatchObject({
      subject: "test",
    });
  });

  it("is answered at once the second time, and verified again when it has expired", async () => {
    let nowMs = Date.now();
    const keys = openKeys();
    const getKey = vi.fn(keys.getKey);
    const verifier = createTokenVerifier(rules, { ...keys, getKey }, () => nowMs);
    const header = `Bearer ${await issuer.token({ expiresInSeconds: 60 })}`;
    const first = await verifier.verify(header);
    expect(verifier.verify(header)).toBe(first);
    expect(getKey).toHaveBeenCalledTimes(1);
    nowMs += 120_000;
    await expect(verifier.verify(header)).rejects.toEqual(refusal("exp"));
  });
});

describe("what is remembered", () => {
  it("is the token, however its header is written", async () => {
    const verifier = createTokenVerifier(rules, openKeys());
    const token = await issuer.token();
    const first = await verifier.verify(`Bearer ${token}`);
    for (const scheme of ["bearer", "BEARER", "bEaReR"])
      for (let spaces = 1; spaces <= 100; spaces += 1)
        expect(verifier.verify(`${scheme}${" ".repeat(spaces)}${token}`)).toBe(first);
    expect(verifier.remembered).toBe(1);
  });

  it("is no token that was refused, nor another spelling of one that was not", async () => {
    const verifier = createTokenVerifier(rules, openKeys());
    const token = await issuer.token();
    await verifier.verify(`Bearer ${token}`);
    const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const [last = ""] = token.slice(-1);
    // Only the first two bits of the last letter are of the signature.
    const same = [...letters].filter(
      (letter) => letter !== last && letters.indexOf(letter) >> 4 === letters.indexOf(last) >> 4,
    );
    expect(same).toHaveLength(15);
    for (const letter of same)
      await expect(
        (async () => await verifier.verify(`Bearer ${token.slice(0, -1)}${letter}`))(),
      ).rejects.toEqual(refusal("malformed"));
    expect(verifier.remembered).toBe(1);
  });
});

describe("a token of ES256", () => {
  it("has two signatures for who holds it, which say the same, and no third", async () => {
    using es256 = await createTokenIssuer("ES256");
    const verifier = createTokenVerifier(rules, openKeys(es256.jwksPath));
    const token = await es256.token();
    const first = await verifier.verify(`Bearer ${token}`);
    // RFC 7518 lets an issuer sign with either, so neither can be refused; each is verified for itself, and remembered.
    const other = await verifier.verify(`Bearer ${withOtherS(token)}`);
    expect(other).toEqual(first);
    expect(withOtherS(withOtherS(token))).toBe(token);
    for (let time = 0; time < 3; time += 1) {
      expect(verifier.verify(`Bearer ${token}`)).toBe(first);
      expect(verifier.verify(`Bearer ${withOtherS(token)}`)).toBe(other);
    }
    expect(verifier.remembered).toBe(2);
  });
});

/** The order of the curve P-256. */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The same token with (r, n − s) in place of (r, s), which anybody can make of it. */
function withOtherS(token: string): string {
  const [head, body, seal = ""] = token.split(".");
  const bytes = Buffer.from(seal, "base64url");
  const s = BigInt(`0x${bytes.subarray(32).toString("hex")}`);
  const other = Buffer.from((order - s).toString(16).padStart(64, "0"), "hex");
  return `${head}.${body}.${Buffer.concat([bytes.subarray(0, 32), other]).toString("base64url")}`;
}

describe("a bad token", () => {
  it("is told apart from none", () => {
    const verifier = createTokenVerifier(rules, openKeys());
    for (const header of [undefined, ""]) {
      expect(() => verifier.verify(header)).toThrow(
        expect.objectContaining({ kind: "CREDENTIALS_MISSING" }),
      );
    }
  });

  it("names what failed", async () => {
    using foreign = await createTokenIssuer();
    const good = await issuer.token();
    const cases: [string, string][] = [
      [await issuer.token({ expiresInSeconds: -31 }), "exp"],
      [await issuer.token({ expiresInSeconds: 3_700 }), "exp"],
      [await issuer.token({ audience: "x" }), "aud"],
      [await issuer.token({ issuer: "x" }), "iss"],
      [await issuer.token({ wallet: wallet.toLowerCase() }), "wallet"],
      [await issuer.token({ wallet: "0x12" }), "wallet"],
      [await issuer.token({ merchant: "" }), "merchant"],
      [await issuer.token({ merchant: "x".repeat(129) }), "merchant"],
      [await issuer.token({ merchant: "market-1", wallet }), "merchant"],
      [await foreign.token(), "signature"],
      [`${good.slice(0, -6)}AAAAAA`, "signature"],
      ["a.b.c", "malformed"],
      ["abc", "malformed"],
      ["x".repeat(5_000), "size"],
      [" ", "scheme"],
    ];
    for (const [token, rule] of cases)
      await expect(verify(token), rule).rejects.toEqual(refusal(rule));
  });

  it("is refused when unsigned, signed with a shared secret, by an unknown key, or without exp or sub", async () => {
    const secret = new TextEncoder().encode("x".repeat(32));
    const claims = () => new SignJWT({}).setIssuer("sovr").setAudience("sovr-mesh").setIssuedAt();
    const hs256 = await claims()
      .setSubject("a")
      .setExpirationTime("1m")
      .setProtectedHeader({ alg: "HS256" })
      .sign(secret);
    const { privateKey } = await generateKeyPair("EdDSA");
    const unknownKey = await claims()
      .setSubject("a")
      .setExpirationTime("1m")
      .setProtectedHeader({ alg: "EdDSA", kid: "other" })
      .sign(privateKey);
    const none = `${btoa('{"alg":"none"}')}.${btoa('{"sub":"a"}')}.`.replaceAll("=", "");
    await expect(verify(hs256)).rejects.toEqual(refusal("alg"));
    await expect(verify(unknownKey)).rejects.toEqual(refusal("kid"));
    await expect(verify(none)).rejects.toEqual(refusal("alg"));
  });
});

describe("the key file", () => {
  it("is read again when it changes, and what old keys signed is refused then", async () => {
    using old = await createTokenIssuer();
    vi.useFakeTimers({ toFake: ["Date"] });
    try {
      const verifier = createTokenVerifier(rules, openKeys(old.jwksPath));
      const header = `Bearer ${await old.token()}`;
      await verifier.verify(header);

      const { publicKey } = await generateKeyPair("EdDSA");
      const next = `${old.jwksPath}.next`;
      writeFileSync(
        next,
        JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: "test" }] }),
      );
      renameSync(next, old.jwksPath);
      vi.setSystemTime(Date.now() + 1_001);
      await expect(verifier.verify(header)).rejects.toEqual(refusal("signature"));
    } finally {
      vi.useRealTimers();
    }
  });

  it("keeps its last good keys when it breaks", async () => {
    using other = await createTokenIssuer();
    vi.useFakeTimers({ toFake: ["Date"] });
    try {
      const verifier = createTokenVerifier(rules, openKeys(other.jwksPath));
      writeFileSync(other.jwksPath, "{");
      utimesSync(other.jwksPath, 1, 1);
      vi.setSystemTime(Date.now() + 1_001);
      expect(await verifier.verify(`Bearer ${await other.token()}`)).toMatchObject({
        subject: "test",
      });
    } finally {
      vi.useRealTimers();
    }
  });

  it("must be there and hold keys when the service starts", () => {
    expect(() => openKeys("/nowhere/jwks.json")).toThrow(ConfigError);
    expect(() => openKeys("/nowhere/jwks.json")).toThrow("cannot be read (ENOENT)");
    const broken = `${issuer.jwksPath}.broken`;
    writeFileSync(broken, "[]");
    expect(() => openKeys(broken)).toThrow("expected a JSON Web Key Set");
  });
});
