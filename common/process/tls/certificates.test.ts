// Goal: a process shows a good certificate of its own or does not start, takes every new one, and never a bad one.
// Method: folders with certificates of an authority of the test, looked at every few milliseconds.
import { mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import {
  createTestAuthority,
  inDays,
  type TestAuthority,
  writeTlsFolder,
} from "../../../test/support/tls/test-authority.ts";
import { createLogger } from "../logger.ts";
import { type Certificates, openCertificates } from "./certificates.ts";

let authority: TestAuthority;
let root: string;
let folder: string;
let opened: Certificates | undefined;
const logger = createLogger("test", "silent");

beforeAll(async () => {
  authority = await createTestAuthority();
  root = mkdtempSync(join(tmpdir(), "sovr-tls-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(async () => {
  folder = mkdtempSync(join(root, "folder-"));
  writeTlsFolder(folder, await authority.issue("clearing"), authority.certificate);
});
afterEach(() => {
  opened?.close();
  opened = undefined;
});

function open(): Certificates {
  const config = { folder, trustDomain: "sovr-mesh" };
  opened = openCertificates({ config, name: "clearing", logger, lookMs: 5 });
  return opened;
}

/** Puts a file in the place of another, so that nobody sees half of it. */
function exchange(name: string, text: string): void {
  writeFileSync(join(folder, "new"), text);
  renameSync(join(folder, "new"), join(folder, name));
}

describe("at the start", () => {
  test("a good one is shown", () => {
    const { chain, expiresMs } = open().current();
    expect(String(chain)).toContain("BEGIN CERTIFICATE");
    expect(Math.abs(expiresMs - inDays(1).getTime())).toBeLessThan(60_000);
  });

  test.each([
    ["one that expired", { to: inDays(-0.5) }, /^TLS_FOLDER is .*: tls\.crt expired at 20/],
    ["one of tomorrow", { from: inDays(1), to: inDays(2) }, /tls\.crt is good from 20.* on$/],
    [
      "another's",
      { uris: ["spiffe://sovr-mesh/envoy"] },
      /not that of spiffe:\/\/sovr-mesh\/clear/,
    ],
    ["another mesh's", { uris: ["spiffe://staging/clearing"] }, /it names URI:spiffe:\/\/staging/],
    ["nobody's", { uris: [] }, /tls\.crt is not that of/],
  ])("%s stops it", async (_, change, message) => {
    writeTlsFolder(folder, await authority.issue("clearing", change), authority.certificate);
    expect(open).toThrow(message);
  });

  test("so does what is missing, no pair, or no PEM, and nothing of the key is told", async () => {
    const { key } = await authority.issue("clearing");
    writeFileSync(join(folder, "tls.key"), key);
    expect(open).toThrow(/tls\.key is not the key of tls\.crt$/);
    writeFileSync(join(folder, "tls.key"), "secret");
    expect(open).toThrow(/tls\.key is no PEM that can be read$/);
    unlinkSync(join(folder, "tls.key"));
    expect(open).toThrow(/tls\.key cannot be read there \(ENOENT\)$/);
    writeFileSync(join(folder, "ca.crt"), "");
    writeFileSync(join(folder, "tls.key"), key);
    expect(open).toThrow(/ca\.crt is no PEM/);
  });
});

describe("afterwards", () => {
  test("a new one takes its place, and whoever listens hears of it until he has heard enough", async () => {
    const certificates = open();
    const heard = vi.fn();
    const deaf = vi.fn();
    certificates.onChange(heard);
    certificates.onChange(deaf)();
    const issued = await authority.issue("clearing", { to: inDays(20) });
    writeTlsFolder(folder, issued, authority.certificate);
    await expect.poll(() => String(certificates.current().chain)).toBe(issued.certificate);
    // The authorities are written last: what was read between was heard of as well.
    await expect.poll(() => heard.mock.lastCall?.[0]).toBe(certificates.current());
    expect(deaf).not.toHaveBeenCalled();
  });

  test("while a pair is half written the old one stays, and the log says so once", async () => {
    const warn = vi.spyOn(logger, "warn");
    const certificates = open();
    const before = certificates.current();
    const issued = await authority.issue("clearing");
    exchange("tls.crt", issued.certificate);
    await expect.poll(() => warn.mock.calls.length).toBe(1);
    expect(warn.mock.lastCall?.[1]).toBe("the certificate there is no good; the old one stays");
    expect(certificates.current()).toBe(before);
    exchange("tls.key", issued.key);
    await expect.poll(() => String(certificates.current().chain)).toBe(issued.certificate);
    expect(warn).toHaveBeenCalledTimes(1);
    warn.mockRestore();
  });

  test("what is gone, expired or another's takes nobody's place", async () => {
    const warn = vi.spyOn(logger, "warn");
    const certificates = open();
    const before = certificates.current();
    unlinkSync(join(folder, "ca.crt"));
    await expect.poll(() => warn.mock.calls.length).toBeGreaterThanOrEqual(1);
    const bad = [{ to: inDays(-0.5) }, { uris: ["spiffe://sovr-mesh/envoy"] }];
    for (const change of bad) {
      const told = warn.mock.calls.length;
      writeTlsFolder(folder, await authority.issue("clearing", change), authority.certificate);
      await expect.poll(() => warn.mock.calls.length).toBeGreaterThan(told);
    }
    expect(certificates.current()).toBe(before);
    warn.mockRestore();
  });

  test("a folder that is exchanged by its link, as in Kubernetes, is seen", async () => {
    const link = join(root, "link");
    symlinkSync(folder, link);
    const config = { folder: link, trustDomain: "sovr-mesh" };
    opened = openCertificates({ config, name: "clearing", logger, lookMs: 5 });
    const issued = await authority.issue("clearing");
    const next = writeTlsFolder(mkdtempSync(join(root, "next-")), issued, authority.certificate);
    unlinkSync(link);
    symlinkSync(next, link);
    await expect.poll(() => String(opened?.current().chain)).toBe(issued.certificate);
  });
});
