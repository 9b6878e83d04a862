import { createPrivateKey, X509Certificate } from "node:crypto";
import { chownSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { trustDomainDefault } from "#common/process/tls/config.ts";
import { identityOf } from "#common/process/tls/identity.ts";
import { postgresUser } from "../parts/unprivileged.ts";
import type { Settings } from "../state/settings.ts";
import { makeFolder, writeWhole } from "../state/write-whole.ts";
import type { Authority, Subject } from "./authority.ts";
import { authorityFiles, type CertifiedName, certifiedNames, tlsFolder } from "./tls-files.ts";

const dayMs = 86_400_000;
/** Of a part: so short that renewing is nothing special, and so long that a mesh may sleep over a holiday. */
const lifetimeMs = 30 * dayMs;
/** What is left when it is renewed. */
const renewMs = 10 * dayMs;
/** Of the authority, which people tell their browsers to trust. What it signs never outlives it. */
const authorityLifetimeMs = 3_650 * dayMs;
/** Clocks differ, on one machine too while they are set. */
const backdatedMs = 3_600_000;

/**
 * Makes the authority of the mesh and the certificates of its parts that are missing, damaged, or near their end. Returns
 * whose are new. Everything is written whole, and for its owner alone.
 */
export async function ensureCertificates(
  settings: Settings,
  nowMs = Date.now(),
): Promise<readonly CertifiedName[]> {
  makeFolder(join(settings.state, "tls"), 0o700);
  const authority = await ensureAuthority(settings, nowMs);
  const due = certifiedNames.filter((name) => isDue(settings, name, authority, nowMs));
  for (const name of due) await renew(settings, name, authority, nowMs);
  return due;
}

async function ensureAuthority(settings: Settings, nowMs: number): Promise<Authority> {
  const files = authorityFiles(settings);
  const known = readPair(files.certificate, files.key);
  // None of its certificates would live as long as they should.
  if (known !== undefined && expiresMs(known) - nowMs > lifetimeMs) return known;
  const { createAuthority } = await import("./authority.ts");
  const made = await createAuthority({
    // So that it is told from that of another mesh in a browser's list.
    name: `SOVR Mesh development ${new Date(nowMs).toISOString()}`,
    from: new Date(nowMs - backdatedMs),
    to: new Date(nowMs + authorityLifetimeMs),
  });
  // The key first: a certificate whose key nobody has is no use, and would be trusted.
  writeWhole(files.key, made.key);
  writeWhole(files.certificate, made.certificate);
  return made;
}

function isDue(
  settings: Settings,
  name: CertifiedName,
  authority: Authority,
  nowMs: number,
): boolean {
  const folder = tlsFolder(settings, name);
  const pair = readPair(join(folder, "tls.crt"), join(folder, "tls.key"));
  if (pair === undefined || readText(join(folder, "ca.crt")) !== authority.certificate) return true;
  const issuer = new X509Certificate(authority.certificate);
  const certificate = new X509Certificate(pair.certificate);
  const isIssued = certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  return !isIssued || expiresMs(pair) - nowMs <= renewMs;
}

async function renew(
  settings: Settings,
  name: CertifiedName,
  authority: Authority,
  nowMs: number,
): Promise<void> {
  const { issueCertificate } = await import("./authority.ts");
  const issued = await issueCertificate(authority, subjectOf(settings, name, nowMs));
  const folder = tlsFolder(settings, name);
  makeFolder(folder, 0o700);
  const files = {
    "ca.crt": authority.certificate,
    "tls.key": issued.key,
    "tls.crt": issued.certificate,
  };
  for (const [file, text] of Object.entries(files)) writeWhole(join(folder, file), text);
  if (name === "postgres") giveToPostgres(settings);
}

/** Whose certificate it is, and, of what is called by its address, where it is. */
function subjectOf(settings: Settings, name: CertifiedName, nowMs: number): Subject {
  const isCalledByAddress = name === "envoy" || name === "postgres";
  return {
    name,
    ...(name === "postgres" ? {} : { uris: [identityOf(trustDomainDefault, name)] }),
    ...(isCalledByAddress
      ? { dnsNames: ["localhost"], addresses: [...new Set([settings.host, "127.0.0.1", "::1"])] }
      : {}),
    from: new Date(nowMs - backdatedMs),
    to: new Date(nowMs + lifetimeMs),
  };
}

/** Where the mesh runs as root, PostgreSQL runs as somebody else, and takes a key only that is its own. */
export function giveToPostgres(settings: Settings): void {
  const user = postgresUser(join(settings.state, "postgres"));
  if (user === undefined) return;
  const folder = tlsFolder(settings, "postgres");
  for (const path of [folder, ...readdirSync(folder).map((file) => join(folder, file))]) {
    chownSync(path, user.uid, user.gid);
  }
}

interface Pair {
  readonly certificate: string;
  readonly key: string;
}

/** A certificate and its key; undefined if they are not there, or do not belong together. */
function readPair(certificateFile: string, keyFile: string): Pair | undefined {
  const [certificate, key] = [readText(certificateFile), readText(keyFile)];
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))
      ? { certificate, key }
      : undefined;
  } catch {
    return undefined; // a power cut, or somebody's hand: it is made anew
  }
}

function readText(file: string): string {
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

function expiresMs({ certificate }: Pair): number {
  return new X509Certificate(certificate).validToDate.getTime();
}
