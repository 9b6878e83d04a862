import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import { addressOfPrivateKey } from "#common/intent/signature.ts";
import { serviceScopes, signInScopes } from "#common/roles.ts";
import { allScopes } from "#common/rpc/access/access.ts";
import { type DatabaseUser, databaseUsers } from "#common/service-names.ts";
import { Problem } from "../command/problem.ts";
import type { Settings } from "./settings.ts";
import { makeFolder, writeWhole } from "./write-whole.ts";

/** Where the development keys lie. */
export interface KeyFiles {
  readonly folder: string;
  /** The private key of the token issuer, a JWK. */
  readonly issuer: string;
  /** The private key with which Checkout signs its own tokens, a JWK. */
  readonly checkout: string;
  /** The private key with which Studio's server signs the tokens of who is signed in, a JWK. */
  readonly studio: string;
  /** What it says to the provider of identities that runs here for development. */
  readonly oidcClientSecret: string;
  /** The public halves of all, a JWK Set: what services and Envoy check tokens with. */
  readonly jwks: string;
  /** The Attestor's secp256k1 key as hex. */
  readonly attestor: string;
  /** The signers that Attestor and Clearing trust. */
  readonly signers: string;
  /** Of the owner of the database, who makes tables, roles and logins. */
  readonly databasePassword: string;
  /** DATABASE_URL of the owner with the password in it; written at every start, because the port may change. */
  readonly databaseUrl: string;
  /** Of each service's own login, which may do what the service does and nothing else. */
  readonly databaseLogins: Readonly<Record<DatabaseUser, DatabaseLoginFiles>>;
  /** What is said to the simulator of Stripe and to nobody else. */
  readonly stripe: StripeKeyFiles;
}

export interface DatabaseLoginFiles {
  readonly password: string;
  /** DATABASE_URL with the password in it. */
  readonly url: string;
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
    studio: join(folder, "studio.jwk"),
    oidcClientSecret: join(folder, "oidc-client-secret"),
    jwks: join(folder, "jwks.json"),
    attestor: join(folder, "attestor.key"),
    signers: join(folder, "signers.json"),
    databasePassword: join(folder, "database-password"),
    databaseUrl: join(folder, "database-url"),
    databaseLogins: Object.fromEntries(
      databaseUsers.map((user) => [user, loginFiles(folder, user)]),
    ) as Record<DatabaseUser, DatabaseLoginFiles>,
    stripe: {
      secretKey: join(folder, "stripe-secret-key"),
      publishableKey: join(folder, "stripe-publishable-key"),
      webhookSecret: join(folder, "stripe-webhook-secret"),
    },
  };
}

function loginFiles(folder: string, user: DatabaseUser): DatabaseLoginFiles {
  return {
    password: join(folder, `database-password-${user}`),
    url: join(folder, `database-url-${user}`),
  };
}

/**
 * Makes the development keys that are not there yet. They outlive --fresh: tokens and wallets stay good. A key that an
 * older version left empty, as a power cut did, is made anew where nothing is lost by it; a Problem says where not. `report` is told what somebody may want to put back instead.
 */
export async function ensureKeys(
  settings: Settings,
  report: (line: string) => void = () => undefined,
): Promise<KeyFiles> {
  const files = keyFiles(settings);
  makeFolder(files.folder);
  chmodSync(files.folder, 0o700);
  await ensureTokenKeys(files);
  ensureAttestor(settings, files, report);
  ensureDatabasePassword(settings, files);
  for (const { password } of Object.values(files.databaseLogins)) ensureRandom(password, "");
  // Marked, so that nobody takes them for keys of an account.
  ensureRandom(files.stripe.secretKey, "sk_test_simulator_");
  ensureRandom(files.stripe.publishableKey, "pk_test_simulator_");
  ensureRandom(files.stripe.webhookSecret, "whsec_");
  ensureRandom(files.oidcClientSecret, "");
  return files;
}

/** Whether a file holds anything: a power cut may leave the name of a file without what was written. */
function isThere(file: string): boolean {
  return existsSync(file) && readFileSync(file, "utf8").trim() !== "";
}

function ensureRandom(file: string, prefix: string): void {
  if (!isThere(file)) writeWhole(file, prefix + randomBytes(24).toString("hex"));
}

/** PostgreSQL knows the password since its folder was made; the address that services read holds it as well. */
function ensureDatabasePassword(settings: Settings, files: KeyFiles): void {
  if (isThere(files.databasePassword)) return;
  const known = isThere(files.databaseUrl) && passwordIn(readFileSync(files.databaseUrl, "utf8"));
  if (typeof known === "string") {
    writeWhole(files.databasePassword, known);
    return;
  }
  if (existsSync(join(settings.state, "postgres"))) {
    throw new Problem(
      `${files.databasePassword} is empty or gone, and the data in ${join(settings.state, "postgres")} was made with it: put a copy of it back`,
    );
  }
  ensureRandom(files.databasePassword, "");
}

function passwordIn(url: string): string | undefined {
  try {
    return new URL(url.trim()).password || undefined;
  } catch {
    return undefined;
  }
}

/** Whose tokens the mesh takes, and for what: the issuer's, those that Checkout signs for itself, and Studio for who is signed in. */
async function ensureTokenKeys(files: KeyFiles): Promise<void> {
  const own = [
    { file: files.issuer, scopes: allScopes },
    { file: files.checkout, scopes: serviceScopes.checkout },
    { file: files.studio, scopes: signInScopes },
  ];
  for (const { file } of own) if (!isThere(file)) writeWhole(file, await newTokenKey());
  const keys = own.map(({ file, scopes }) => {
    const { d: _, ...shared } = JSON.parse(readFileSync(file, "utf8")) as JWK;
    return { ...shared, use: "sig", sovr_scopes: scopes };
  });
  const jwks = JSON.stringify({ keys });
  // Written only if it differs: services read the file again whenever it changes.
  if (!isThere(files.jwks) || readFileSync(files.jwks, "utf8") !== jwks)
    writeWhole(files.jwks, jwks);
}

async function newTokenKey(): Promise<string> {
  const { privateKey } = await generateKeyPair("EdDSA", { extractable: true });
  const kid = randomBytes(8).toString("hex");
  return JSON.stringify({ ...(await exportJWK(privateKey)), kid, alg: "EdDSA" });
}

interface SignerEntry {
  readonly address: string;
  readonly activateTime: string;
}

/**
 * A key that is gone is followed by a new one. The signer that it was stays in the list: what it attested stays valid.
 * The key is written first, so that none is ever trusted that nobody has.
 */
function ensureAttestor(settings: Settings, files: KeyFiles, report: (line: string) => void): void {
  if (isThere(files.attestor) && isThere(files.signers)) return;
  const records = join(settings.state, "postgres");
  if (!isThere(files.signers) && existsSync(records)) {
    throw new Problem(
      `${files.signers} is empty or gone, and what is in ${records} was attested by the signers that it named, since the times that it named: put a copy of it back`,
    );
  }
  const key = isThere(files.attestor) ? readPrivateKey(files.attestor) : newPrivateKey();
  if (!isThere(files.attestor)) writeWhole(files.attestor, `0x${key.toString("hex")}`);
  const known: readonly SignerEntry[] = isThere(files.signers)
    ? JSON.parse(readFileSync(files.signers, "utf8"))
    : [];
  const address = addressOfPrivateKey(key);
  if (known.some((signer) => signer.address === address)) return;
  // Active since an hour ago: an intent may have been issued a few minutes before its attestation.
  const activateTime = new Date(Date.now() - 3_600_000).toISOString();
  writeWhole(files.signers, `${JSON.stringify([...known, { address, activateTime }], null, 2)}\n`);
  const before = known.at(-1);
  if (before === undefined) return;
  report(
    `${files.attestor} is another key than that of ${before.address}, which attested until now: ${address} attests from now on, and both are trusted. Put a copy of the old key back to go on with that; revoke its signer in ${files.signers} if it was stolen (services/attestor/README.md)`,
  );
}

function readPrivateKey(file: string): Buffer {
  return Buffer.from(readFileSync(file, "utf8").trim().replace(/^0x/, ""), "hex");
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
