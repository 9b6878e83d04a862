import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import { addressOfPrivateKey } from "#common/intent/signature.ts";
import type { Settings } from "./settings.ts";

/** Where the development keys lie. */
export interface KeyFiles {
  readonly folder: string;
  /** The private key of the token issuer, a JWK. */
  readonly issuer: string;
  /** The private key with which Checkout signs its own tokens, a JWK. */
  readonly checkout: string;
  /** The public halves of both, a JWK Set: what services and Envoy check tokens with. */
  readonly jwks: string;
  /** The Attestor's secp256k1 key as hex. */
  readonly attestor: string;
  /** The signers that Attestor and Clearing trust. */
  readonly signers: string;
  readonly databasePassword: string;
  /** DATABASE_URL with the password in it; written at every start, because the port may change. */
  readonly databaseUrl: string;
  /** What is said to the simulator of Stripe and to nobody else. */
  readonly stripe: StripeKeyFiles;
}

export interface StripeKeyFiles {
  /** sk_test_…, pk_test_…, whsec_… */
  readonly secretKey: string;
  readonly publishableKey: string;
  readonly webhookSecret: string;
}

export function keyFiles(settings: Settings): KeyFiles {
  const folder = join(settings.state, "keys");
  return {
    folder,
    issuer: join(folder, "issuer.jwk"),
    checkout: join(folder, "checkout.jwk"),
    jwks: join(folder, "jwks.json"),
    attestor: join(folder, "attestor.key"),
    signers: join(folder, "signers.json"),
    databasePassword: join(folder, "database-password"),
    databaseUrl: join(folder, "database-url"),
    stripe: {
      secretKey: join(folder, "stripe-secret-key"),
      publishableKey: join(folder, "stripe-publishable-key"),
      webhookSecret: join(folder, "stripe-webhook-secret"),
    },
  };
}

/** Makes the development keys that are not there yet. They outlive --fresh: tokens and wallets stay good. */
export async function ensureKeys(settings: Settings): Promise<KeyFiles> {
  const files = keyFiles(settings);
  mkdirSync(files.folder, { recursive: true });
  chmodSync(files.folder, 0o700);
  await ensureTokenKeys(files);
  if (!existsSync(files.attestor) || !existsSync(files.signers)) makeAttestor(files);
  ensureRandom(files.databasePassword, "");
  // Marked, so that nobody takes them for keys of an account.
  ensureRandom(files.stripe.secretKey, "sk_test_simulator_");
  ensureRandom(files.stripe.publishableKey, "pk_test_simulator_");
  ensureRandom(files.stripe.webhookSecret, "whsec_");
  return files;
}

function ensureRandom(file: string, prefix: string): void {
  if (!existsSync(file)) writeSecret(file, prefix + randomBytes(24).toString("hex"));
}

/** Writes a file that only its owner may read. */
export function writeSecret(file: string, text: string): void {
  writeFileSync(file, text, { mode: 0o600 });
  chmodSync(file, 0o600); // the mode above counts for a new file only
}

/** Whose tokens the mesh takes: those of the issuer, and those that Checkout signs for itself. */
async function ensureTokenKeys(files: KeyFiles): Promise<void> {
  const own = [files.issuer, files.checkout];
  if ([...own, files.jwks].every((file) => existsSync(file))) return;
  for (const file of own) if (!existsSync(file)) writeSecret(file, await newTokenKey());
  const keys = own.map((file) => {
    const { d: _, ...shared } = JSON.parse(readFileSync(file, "utf8")) as JWK;
    return { ...shared, use: "sig" };
  });
  // Whole or not at all: a mesh that runs reads it again.
  writeFileSync(`${files.jwks}.new`, JSON.stringify({ keys }));
  renameSync(`${files.jwks}.new`, files.jwks);
}

async function newTokenKey(): Promise<string> {
  const { privateKey } = await generateKeyPair("EdDSA", { extractable: true });
  const kid = randomBytes(8).toString("hex");
  return JSON.stringify({ ...(await exportJWK(privateKey)), kid, alg: "EdDSA" });
}

function makeAttestor(files: KeyFiles): void {
  const key = newPrivateKey();
  writeSecret(files.attestor, `0x${key.toString("hex")}`);
  // Active since an hour ago: an intent may have been issued a few minutes before its attestation.
  const activateTime = new Date(Date.now() - 3_600_000).toISOString();
  const signers = [{ address: addressOfPrivateKey(key), activateTime }];
  writeFileSync(files.signers, `${JSON.stringify(signers, null, 2)}\n`);
}

/** A fresh secp256k1 private key of 32 bytes. */
export function newPrivateKey(): Buffer {
  // A random number is out of the curve's range once in 2^128 times; a bounded loop costs nothing.
  for (let attempt = 0; attempt < 3; attempt++) {
    const key = randomBytes(32);
    try {
      addressOfPrivateKey(key);
      return key;
    } catch {
      // out of range: draw again
    }
  }
  throw new Error("three random keys in a row are out of range: the random source is broken");
}
