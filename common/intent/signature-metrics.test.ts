import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { metricsHandler } from "#common/process/metrics.ts";
import { testKey } from "../../test/support/intents/intents.ts";
import { signDigest } from "./signature.ts";
import { countSignatureChecks } from "./signature-metrics.ts";

async function scrape(): Promise<string> {
  const server = createServer(metricsHandler()).listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const { port } = server.address() as AddressInfo;
    return await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  } finally {
    server.close();
  }
}

test("counts signatures by where they are checked, and whether anybody made them", async () => {
  const checks = countSignatureChecks();
  const digest = `0x${"5a".repeat(32)}`;
  const { privateKey, address } = testKey(7);
  const signature = signDigest(digest, privateKey);
  expect(checks.recover(digest, signature)).toBe(address);
  expect(checks.recover(digest, signature)).toBe(address);
  expect(checks.recover(digest, `0x${"00".repeat(64)}1b`)).toBeUndefined();
  checks.countOnThreads([address, undefined, address, address]);
  const text = await scrape();
  expect(text).toContain('signature_checks_total{where="loop",maker="somebody"} 2');
  expect(text).toContain('signature_checks_total{where="loop",maker="nobody"} 1');
  expect(text).toContain('signature_checks_total{where="thread",maker="somebody"} 3');
  expect(text).toContain('signature_checks_total{where="thread",maker="nobody"} 1');
});
