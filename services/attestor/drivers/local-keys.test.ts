import { inspect } from "node:util";
import { expect, test } from "vitest";
import { recoverAddress } from "#common/intent/signature.ts";
import { alice, bob } from "../../../test/support/intents/intents.ts";
import { createLocalKeys } from "./local-keys.ts";

const digest = `0x${"5a".repeat(32)}`;
const data = { digest, encode: () => Buffer.alloc(66) };
const { signal } = new AbortController();

test("signs with the key of the address that is asked for", async () => {
  const keys = createLocalKeys([alice.privateKey, bob.privateKey]);
  expect(keys.addresses).toEqual([alice.address, bob.address]);
  for (const { address } of [alice, bob]) {
    expect(keys.has(address)).toBe(true);
    expect(recoverAddress(digest, await keys.sign(address, data, signal))).toBe(address);
  }
});

test("has no key that it was not given", async () => {
  const keys = createLocalKeys([alice.privateKey]);
  expect(keys.has(bob.address)).toBe(false);
  await expect(keys.sign(bob.address, data, signal)).rejects.toThrow(bob.address);
  await expect(keys.probe(bob.address, signal)).rejects.toThrow(bob.address);
});

test("shows no key to whatever prints it", () => {
  const keys = createLocalKeys([alice.privateKey]);
  const secret = Buffer.from(alice.privateKey).toString("hex");
  const digits = secret.replace(/^0+/, "");
  expect(inspect(keys, { depth: 9, showHidden: true })).not.toContain(digits);
  expect(JSON.stringify(keys)).not.toContain(digits);
});

test("refuses what is no key of the curve", () => {
  expect(() => createLocalKeys([new Uint8Array(32)])).toThrow();
});
