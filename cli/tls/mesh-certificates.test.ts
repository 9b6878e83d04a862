// Goal: a mesh has good certificates for every part whenever it starts, and keeps its authority. Method: a state folder,
// and clocks that are moved.
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readSettings, type Settings } from "../state/settings.ts";
import { ensureCertificates } from "./mesh-certificates.ts";
import { authorityFiles, certifiedNames, tlsFolder } from "./tls-files.ts";

const dayMs = 86_400_000;
let state: string;
let settings: Settings;

beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "sovr-certificates-"));
  settings = readSettings({ MESH_STATE: state });
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

const certificateOf = (name: (typeof certifiedNames)[number]) =>
  new X509Certificate(readFileSync(join(tlsFolder(settings, name), "tls.crt")));
const authority = () => new X509Certificate(readFileSync(authorityFiles(settings).certificate));

test("every part gets its own, by the one authority, and nobody else may read it", async () => {
  expect(await ensureCertificates(settings)).toEqual(certifiedNames);
  for (const name of certifiedNames) {
    const certificate = certificateOf(name);
    expect(certificate.checkIssued(authority())).toBe(true);
    expect(certificate.verify(authority().publicKey)).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(certificate.subjectAltName?.includes(`URI:spiffe://sovr-mesh/${name}`)).toBe(
      name !== "postgres",
    );
    const leftMs = certificate.validToDate.getTime() - Date.now();
    expect(leftMs).toBeGreaterThan(29 * dayMs);
    expect(leftMs).toBeLessThan(31 * dayMs);
  }
  for (const entry of readdirSync(state, { recursive: true, withFileTypes: true })) {
    const { mode } = statSync(join(entry.parentPath, entry.name));
    expect([entry.name, mode & 0o777]).toEqual([entry.name, entry.isFile() ? 0o600 : 0o700]);
  }
});

test("what is called by its address says where it is", async () => {
  await ensureCertificates(settings);
  for (const name of ["envoy", "postgres"] as const) {
    expect(certificateOf(name).checkIP("127.0.0.1")).toBe("127.0.0.1");
    expect(certificateOf(name).checkHost("localhost")).toBe("localhost");
  }
  expect(certificateOf("clearing").checkIP("127.0.0.1")).toBeUndefined();
});

test("nothing is made anew that is good, and all is that comes near its end", async () => {
  await ensureCertificates(settings);
  const before = authority().fingerprint256;
  expect(await ensureCertificates(settings)).toEqual([]);
  expect(await ensureCertificates(settings, Date.now() + 19 * dayMs)).toEqual([]);
  expect(await ensureCertificates(settings, Date.now() + 21 * dayMs)).toEqual(certifiedNames);
  expect(certificateOf("envoy").validToDate.getTime()).toBeGreaterThan(Date.now() + 50 * dayMs);
  expect(authority().fingerprint256).toBe(before);
});

test("what is damaged, no pair, or another authority's, is made anew alone", async () => {
  await ensureCertificates(settings);
  const file = (name: "ledger" | "clearing" | "studio" | "checkout", leaf: string) =>
    join(tlsFolder(settings, name), leaf);
  writeFileSync(file("ledger", "tls.crt"), "");
  writeFileSync(file("clearing", "tls.key"), readFileSync(file("studio", "tls.key")));
  rmSync(tlsFolder(settings, "studio"), { recursive: true });
  writeFileSync(file("checkout", "ca.crt"), "somebody's");
  const renewed = await ensureCertificates(settings);
  expect([...renewed].sort()).toEqual(["checkout", "clearing", "ledger", "studio"]);
  expect(await ensureCertificates(settings)).toEqual([]);
});

test("an authority without its key, or near its own end, is followed by another with all that it signs", async () => {
  await ensureCertificates(settings);
  const before = authority().fingerprint256;
  rmSync(authorityFiles(settings).key);
  expect(await ensureCertificates(settings)).toEqual(certifiedNames);
  expect(authority().fingerprint256).not.toBe(before);
  const late = Date.now() + (3_650 - 29) * dayMs;
  expect(await ensureCertificates(settings, late)).toEqual(certifiedNames);
  expect(authority().validToDate.getTime()).toBeGreaterThan(late + 3_000 * dayMs);
});
