import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { alice, bob } from "../../test/support/intents/intents.ts";
import { attestorConfig } from "./config.ts";

const hexOf = (key: Uint8Array) => Buffer.from(key).toString("hex");
const aliceHex = hexOf(alice.privateKey);
const needed = {
  JWT_JWKS_FILE: "jwks.json",
  DATABASE_URL: "postgres://sovr@localhost/sovr",
  SIGNERS_FILE: "signers.json",
  EIP712_VERIFYING_CONTRACT: "0x5FbDB2315678afecb367f032d93F642f64180aa3",
  ATTESTOR_PRIVATE_KEY: aliceHex,
};

describe("attestorConfig", () => {
  test("the defaults", () => {
    expect(attestorConfig(needed)).toMatchObject({
      runtime: { name: "attestor", grpc: { host: "127.0.0.1", port: 5103 } },
      databaseUrl: "postgres://sovr@localhost/sovr",
      signersFile: "signers.json",
      approvalsPath: undefined,
      intentsPerWalletAndMinute: 600,
      signaturesPerMinute: 600_000,
    });
  });

  test.each([
    ["with 0x", `0x${aliceHex}`, [alice.address]],
    ["in upper case", aliceHex.toUpperCase(), [alice.address]],
    [
      "two, while signers rotate",
      `${aliceHex},0x${hexOf(bob.privateKey)}`,
      [alice.address, bob.address],
    ],
    ["two, with blanks", ` ${aliceHex} , ${hexOf(bob.privateKey)} `, [alice.address, bob.address]],
  ])("takes keys %s", async (_how, ATTESTOR_PRIVATE_KEY, addresses) => {
    const config = attestorConfig({ ...needed, ATTESTOR_PRIVATE_KEY });
    const { keys } = await config.openKeys(new AbortController().signal);
    expect(keys.addresses).toEqual(addresses);
  });

  test("shows no secret to whatever prints it", () => {
    const config = attestorConfig({
      ...needed,
      ATTESTOR_KEYSTORE_FILE: "key.json",
      ATTESTOR_KEYSTORE_PASSWORD: "a password",
    });
    const printed = inspect(config, { depth: 9, showHidden: true });
    expect(printed).not.toContain(aliceHex.slice(8, 40));
    expect(printed).not.toContain("a password");
  });

  test.each([
    ["too short", aliceHex.slice(1)],
    ["no hex", `${aliceHex.slice(1)}g`],
    ["zero", "0".repeat(64)],
    ["the order of the curve", "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"],
    ["a comma at the end", `${aliceHex},`],
    ["seventeen", Array.from({ length: 17 }, () => aliceHex).join()],
  ])("a key that is %s stops the start and is not shown", (_what, ATTESTOR_PRIVATE_KEY) => {
    const start = () => attestorConfig({ ...needed, ATTESTOR_PRIVATE_KEY });
    expect(start).toThrow(/^ATTESTOR_PRIVATE_KEY is "\(hidden\)": expected 1 to 16/);
    expect(start).not.toThrow(ATTESTOR_PRIVATE_KEY.slice(40, 60));
  });

  test.each([
    ["ATTESTOR_PRIVATE_KEY", undefined, "ATTESTOR_PRIVATE_KEY is missing"],
    ["DATABASE_URL", undefined, "DATABASE_URL is missing"],
    ["SIGNERS_FILE", undefined, "SIGNERS_FILE is missing"],
    ["INTENTS_PER_WALLET_AND_MINUTE", "0", 'INTENTS_PER_WALLET_AND_MINUTE is "0"'],
    ["SIGNATURES_PER_MINUTE", "0", 'SIGNATURES_PER_MINUTE is "0"'],
    ["ATTESTOR_KEYSTORE_FILE", "key.json", "ATTESTOR_KEYSTORE_PASSWORD is missing"],
    ["ATTESTOR_KEYSTORE_FILE", "a.json,,b.json", 'ATTESTOR_KEYSTORE_FILE is "a.json,,b.json"'],
    ["ATTESTOR_KMS_KEY_IDS", ",", 'ATTESTOR_KMS_KEY_IDS is ","'],
    ["ATTESTOR_REMOTE_SIGNER_URL", "signer:9000", 'ATTESTOR_REMOTE_SIGNER_URL is "signer:9000"'],
    [
      "ATTESTOR_REMOTE_SIGNER_URL",
      "http://signer:9000",
      'ATTESTOR_REMOTE_SIGNER_URL is "http://signer:9000/": expected https',
    ],
    ["INTENTS_PER_WALLET_AND_MINUTE", "many", 'INTENTS_PER_WALLET_AND_MINUTE is "many"'],
  ])("%s %j stops the start", (variable, value, message) => {
    expect(() => attestorConfig({ ...needed, [variable]: value })).toThrow(message);
  });

  test("a client's certificate without its key stops the start", () => {
    const remote = { ATTESTOR_REMOTE_SIGNER_URL: "https://signer:9000" };
    const certificate = { ATTESTOR_REMOTE_SIGNER_CERTIFICATE_FILE: "client.pem" };
    expect(() => attestorConfig({ ...needed, ...remote, ...certificate })).toThrow(
      "ATTESTOR_REMOTE_SIGNER_KEY_FILE is missing",
    );
  });
});
