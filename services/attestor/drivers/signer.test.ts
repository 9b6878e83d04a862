import { inspect } from "node:util";
import { expect, test } from "vitest";
import { recoverAddress } from "#common/intent/signature.ts";
import { alice, bob } from "../../../test/support/intents/intents.ts";
import { createSigningKeys } from "./signer.ts";

const digest = `0x${"5a".repeat(32)}`;

test("signs with the key of the address that is asked for", () => {
  const keys = createSigningKeys([alice.privateKey, bob.privateKey]);
  expect(keys.addresses).toEqual([alice.address, bob.address]);
  for (const { address } of [alice, bob]) {
    expect(keys.has(address)).toBe(true);
    expect(recoverAddress(digest, keys.sign(address, digest))).toBe(address);
  }
});

test("has no key that it was not given", () => {
  const keys = createSigningKeys([alice.privateKey]);
  expect(keys.has(bob.address)).toBe(false);
  expect(() => keys.sign(bob.address, digest)).toThrow(bob.address);
});

test("shows no key to whatever prints it", () => {
  const keys = createSigningKeys([alice.privateKey]);
  const secret = Buffer.from(alice.privateKey).toString("hex");
  const digits = secret.replace(/^0+/, "");
  expect(inspect(keys, { depth: 9, showHidden: true })).not.toContain(digits);
  expect(JSON.stringify(keys)).not.toContain(digits);
});

test("refuses what is no key of the curve", () => {
  expect(() => createSigningKeys([new Uint8Array(32)])).toThrow();
});
