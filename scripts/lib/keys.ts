import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportJWK, generateKeyPair } from "jose";
import { addressOfPrivateKey } from "#common/signature.ts";
import type { Settings } from "./settings.ts";

/** Where the development keys lie. */
export interface KeyFiles {
  readonly folder: string;
  /** The private key of the token issuer, a JWK. */
  readonly issuer: string;
  /** Its public half, a JWK Set: what services and Envoy check tokens with. */
  readonly jwks: string;
  /** The Attestor's secp256k1 key as hex. */
  readonly attestor: string;
  /** The signers that Attestor and Clearing trust. */
  readonly signers: string;
  readonly databasePassword: string;
  /** DATABASE_URL with the password in it; written at every start, because the port may change. */
  readonly databaseUrl: string;
}

export function keyFiles(settings: Settings): KeyFiles {
  const folder = join(settings.state, "keys");
  return {
    folder,
    issuer: join(folder, "issuer.jwk"),
    jwks: join(folder, "jwks.json"),
    attestor: join(folder, "attestor.key"),
    signers: join(folder, "signers.json"),
    databasePassword: join(folder, "database-password"),
    databaseUrl: join(folder, "database-url"),
  };
}

/** Makes the development keys that are not there yet. They outlive --fresh: tokens and wallets stay good. */
export async function ensureKeys(settings: Settings): Promise<KeyFiles> {
  const files = keyFiles(settings);
  mkdirSync(files.folder, { recursive: true });
  chmodSync(files.folder, 0o700);
  if (!existsSync(files.issuer) || !existsSync(files.jwks)) await makeIssuer(files);
  if (!existsSync(files.attestor) || !existsSync(files.signers)) makeAttestor(files);
  if (!existsSync(files.databasePassword)) {
    writeSecret(files.databasePassword, randomBytes(24).toString("base64url"));
  }
  return files;
}

/** Writes a file that only its owner may read. */
export function writeSecret(file: string, text: string): void {
  writeFileSync(file, text, { mode: 0o600 });
  chmodSync(file, 0o600); // the mode above counts for a new file only
}

async function makeIssuer(files: KeyFiles): Promise<void> {
  const { privateKey, publicKey } = await generateKeyPair("EdDSA", { extractable: true });
  const name = { kid: randomBytes(8).toString("hex"), alg: "EdDSA" };
  writeSecret(files.issuer, JSON.stringify({ ...(await exportJWK(privateKey)), ...name }));
  const shared = { ...(await exportJWK(publicKey)), ...name, use: "sig" };
  writeFileSync(files.jwks, JSON.stringify({ keys: [shared] }));
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
