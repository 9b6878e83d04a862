// Goal: the repository gives no secret away. Method: every file that git tracks, searched for what is shaped like a key
// and random like one. What looks so and is none stands below, by file and with the reason. Output is searched by
// test/acceptance.
import { execFileSync } from "node:child_process";
import { createHash, generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repositoryRoot } from "../../cli/state/settings.ts";
import { findSuspects } from "../support/mesh/secret-scan.ts";

/** What looks like a secret and is none. */
const known = [
  {
    file: "test/vectors/eip712.json",
    shape: "32 bytes as hex",
    why: "digests, and private keys that generate.ts derives from public words",
  },
  {
    file: "test/vectors/approvals.json",
    shape: "32 bytes as hex",
    why: "digests, and a private key that generate.ts derives from public words",
  },
  {
    file: "test/vectors/trees.json",
    shape: "32 bytes as hex",
    why: "digests and hashes, and a private key that generate.ts derives from public words",
  },
  {
    file: "test/vectors/generate.ts",
    shape: "32 bytes as hex",
    why: "the hashes that the authors of EIP-712 published",
  },
  {
    file: "cli/client/intents.test.ts",
    shape: "32 bytes as hex",
    why: "the first development account of anvil and hardhat, known to everyone",
  },
  {
    file: "test/contract/books.test.ts",
    shape: "32 bytes as hex",
    why: "the SHA-256 of books/sovr/0001.yaml, which is pinned there",
  },
  ...["POSCR", "SFIAT"].map((name) => ({
    file: `contracts/compiled/${name}.json`,
    shape: "32 bytes as hex",
    why: "the hash of the contract's bytecode",
  })),
  { file: "k8s/requirements.txt", shape: "32 bytes as hex", why: "SHA-256 of the packages" },
  { file: "envoy/requirements.txt", shape: "32 bytes as hex", why: "SHA-256 of the packages" },
  {
    file: "test/support/postgres/requirements.txt",
    shape: "32 bytes as hex",
    why: "SHA-256 of the packages",
  },
];

const files = execFileSync("git", ["ls-files", "-z"], { cwd: repositoryRoot, encoding: "utf8" })
  .split("\0")
  .filter((name) => name !== "");

/** Tracked, but possibly just deleted by whoever works here. */
function read(name: string): string {
  try {
    return readFileSync(join(repositoryRoot, name), "latin1");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}

const suspects = files.flatMap((file) =>
  findSuspects(read(file)).map((suspect) => ({ file, ...suspect })),
);

test("no file that git tracks holds a secret", () => {
  expect(files.length).toBeGreaterThan(500);
  const unknown = suspects.filter(
    ({ file, shape }) => !known.some((entry) => entry.file === file && entry.shape === shape),
  );
  expect(unknown).toEqual([]);
});

test.each(known)("$file looks as if it did: $why", ({ file, shape }) => {
  expect(suspects.some((suspect) => suspect.file === file && suspect.shape === shape)).toBe(true);
});

test("no key file is tracked", () => {
  const kept =
    /(^|\/)(\.env|\.mesh\/.*|.*\.(pem|key|p12|pfx|jwk|keystore)|id_(rsa|ed25519|ecdsa))$/;
  expect(files.filter((name) => kept.test(name))).toEqual([]);
});

// Made here: a key that stood in this file would be one that the search finds.
const digest = createHash("sha512").update("sovr/secrets").digest();
const base64 = digest.toString("base64").replaceAll(/[+/=]/g, "");
const letters = (length: number) => base64.slice(0, length);
const hex = digest.toString("hex").slice(0, 64);
const { privateKey } = generateKeyPairSync("ed25519");
const jwk = privateKey.export({ format: "jwk" });
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
const jwt = `${part({ alg: "EdDSA", typ: "JWT" })}.${part({ sub: "developer" })}.${letters(80)}`;

test.each([
  ["Stripe secret key", `STRIPE_SECRET_KEY=sk_live_${letters(24)}`],
  ["Stripe secret key", `"sk_test_simulator_${hex.slice(0, 48)}"`],
  ["Stripe restricted key", `rk_live_${letters(24)}`],
  ["Stripe webhook secret", `whsec_${letters(32)}`],
  ["AWS access key", `AKIA${letters(16).toUpperCase()}`],
  ["GitHub token", `ghp_${letters(36)}`],
  ["Slack token", `xoxb-${letters(24)}`],
  ["Google API key", `AIza${letters(35)}`],
  ["npm token", `//registry/:_authToken=npm_${letters(36)}`],
  ["JWT", `authorization: Bearer ${jwt}`],
  ["private key, PEM", privateKey.export({ format: "pem", type: "pkcs8" }).toString()],
  ["private key, JWK", JSON.stringify(jwk)],
  ["private key, JWK", `{ kty: "OKP", d: '${jwk.d}' }`],
  ["32 bytes as hex", `ATTESTOR_PRIVATE_KEY=0x${hex}`],
  ["32 bytes as hex", `key: ${hex.toUpperCase()}`],
])("a %s is found", (shape, secret) => {
  const found = findSuspects(`first line\n${secret}\nlast line`);
  expect(found).toMatchObject([{ shape, line: 2 }]);
  expect(JSON.stringify(found)).not.toContain(secret);
});

test.each([
  "sk_test_thekeythatnobodysees",
  "whsec_0000000000000000000000",
  `0x${"11".repeat(32)}`,
  "pk_live_CHANGE",
  "d: string",
])("%s is none", (text) => {
  expect(findSuspects(text)).toEqual([]);
});
