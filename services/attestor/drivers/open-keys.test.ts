// Goal: wherever a key lies, what leaves here is a signature of the address that was asked for, and an outage is told from a
// fault. Method: a keystore that ethers wrote; servers that speak the APIs of Web3Signer and of AWS KMS, over real TLS.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encryptKeystoreJson } from "ethers";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { recoverAddress } from "#common/intent/signature.ts";
import { keccak256 } from "#common/keccak256.ts";
import { alice, bob } from "../../../test/support/intents/intents.ts";
import { createAuthority, type TestAuthority } from "../../../test/support/signers/certificates.ts";
import { startKms, type TestKms } from "../../../test/support/signers/kms.ts";
import { startWeb3Signer, type TestWeb3Signer } from "../../../test/support/signers/web3signer.ts";
import type { SigningKeys, TypedData } from "../signing-keys.ts";
import { createLocalKeys } from "./local-keys.ts";
import { type KeyPlaces, openKeys } from "./open-keys.ts";

const { signal } = new AbortController();
const nowhere: KeyPlaces = { local: undefined, keystores: [], remote: undefined, kms: undefined };

function dataOf(text: string): TypedData {
  const bytes = Buffer.concat([Buffer.of(0x19, 1), Buffer.alloc(64, text)]);
  return {
    digest: `0x${Buffer.from(keccak256(bytes)).toString("hex")}`,
    encode: () => bytes,
  };
}

async function expectSigned(keys: SigningKeys, address: string, text = "a"): Promise<void> {
  const data = dataOf(text);
  expect(recoverAddress(data.digest, await keys.sign(address, data, signal))).toBe(address);
}

const away = expect.objectContaining({ kind: "SIGNER_UNAVAILABLE", retryAfterMs: 500 });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "signers-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a keystore", () => {
  const path = () => join(folder, "key.json");
  beforeAll(async () => {
    const account = {
      address: alice.address,
      privateKey: `0x${Buffer.from(alice.privateKey).toString("hex")}`,
    };
    // As weak as can be: the strength is the writer's, and each opening costs it.
    writeFileSync(path(), await encryptKeystoreJson(account, "secret", { scrypt: { N: 2 } }));
  });

  test("signs, beside a key of the environment", async () => {
    const local = createLocalKeys([bob.privateKey]);
    const keystores = [{ path: path(), password: "secret" }];
    const { keys } = await openKeys({ ...nowhere, local, keystores }, signal);
    expect(keys.addresses).toEqual([bob.address, alice.address]);
    await expectSigned(keys, alice.address);
    await expectSigned(keys, bob.address);
  });

  test.each([
    ["the wrong password", "wrong", undefined, "the password is not the keystore's"],
    ["no keystore", "secret", "{}", "expected a keystore of version 3"],
    ["nothing", "secret", "", "expected a keystore of version 3"],
  ])("with %s is refused, and shows nothing", async (_what, password, text, message) => {
    const file = text === undefined ? path() : join(folder, "other.json");
    if (text !== undefined) writeFileSync(file, text);
    const opening = openKeys({ ...nowhere, keystores: [{ path: file, password }] }, signal);
    await expect(opening).rejects.toThrow(
      `ATTESTOR_KEYSTORE_FILE is ${JSON.stringify(file)}: ${message}`,
    );
  });

  test("that is not there is refused", async () => {
    const keystores = [{ path: join(folder, "none"), password: "" }];
    await expect(openKeys({ ...nowhere, keystores }, signal)).rejects.toThrow("(ENOENT)");
  });
});

describe("a remote signer", () => {
  const noTls = { ca: undefined, certificate: undefined, key: undefined };
  let server: TestWeb3Signer;
  beforeAll(async () => {
    server = await startWeb3Signer([alice.privateKey, bob.privateKey]);
  });
  afterAll(() => server[Symbol.asyncDispose]());
  beforeEach(() => {
    server.behaviour.answer = undefined;
  });

  const open = async () => {
    const opened = await openKeys({ ...nowhere, remote: { url: server.url, tls: noTls } }, signal);
    return { ...opened, [Symbol.dispose]: opened.close };
  };

  test("signs with each of its keys", async () => {
    using opened = await open();
    expect(opened.keys.addresses).toEqual([alice.address, bob.address]);
    for (const text of ["a", "b", "c", "d"]) {
      await expectSigned(opened.keys, alice.address, text);
      await expectSigned(opened.keys, bob.address, text);
    }
    await opened.keys.probe(alice.address, signal);
  });

  test.each([
    { status: 500, text: "" },
    { status: 503, text: "busy" },
    { status: 429, text: "" },
  ])("that answers $status is away", async (answer) => {
    using opened = await open();
    server.behaviour.answer = answer;
    await expect(opened.keys.sign(alice.address, dataOf("a"), signal)).rejects.toEqual(away);
    await expect(opened.keys.probe(alice.address, signal)).rejects.toEqual(away);
  });

  test.each([
    ["no such key", { status: 404, text: "" }],
    ["a text", { status: 200, text: "hello" }],
    ["a signature of another key", { status: 200, text: `0x${"11".repeat(64)}1b` }],
    ["zeros", { status: 200, text: `0x${"00".repeat(65)}` }],
    ["too much", { status: 200, text: "0".repeat(100_000) }],
  ])("that answers %s has a fault, and nothing of it leaves", async (_what, answer) => {
    using opened = await open();
    server.behaviour.answer = answer;
    await expect(opened.keys.sign(alice.address, dataOf("a"), signal)).rejects.toMatchObject({
      name: "WrongAnswer",
    });
  });

  test("that is silent is waited for until the signal, and is away", async () => {
    using opened = await open();
    server.behaviour.answer = "SILENCE";
    const answer = opened.keys.sign(alice.address, dataOf("a"), AbortSignal.timeout(50));
    await expect(answer).rejects.toEqual(away);
  });

  test("takes so many at once, and refuses more at once", async () => {
    using opened = await open();
    server.behaviour.answer = "SILENCE";
    const caller = new AbortController();
    const refused = vi.fn();
    const asked = Array.from({ length: 257 }, (_, index) =>
      opened.keys.sign(alice.address, dataOf(String(index)), caller.signal).catch(refused),
    );
    await asked.at(-1);
    expect(refused).toHaveBeenCalledTimes(1);
    caller.abort();
    await Promise.all(asked);
    expect(refused).toHaveBeenCalledTimes(257);
    server.behaviour.answer = undefined;
    await expectSigned(opened.keys, alice.address);
  });

  test("that does not answer at a start stops it", async () => {
    server.behaviour.answer = { status: 503, text: "" };
    await expect(open()).rejects.toThrow(
      `ATTESTOR_REMOTE_SIGNER_URL is "${server.url.origin}": its keys cannot be listed: the remote signer answered 503`,
    );
  });
});

describe("a remote signer over TLS", () => {
  let own: TestAuthority;
  let other: TestAuthority;
  beforeAll(async () => {
    [own, other] = await Promise.all([
      createAuthority(folder, "own-authority"),
      createAuthority(folder, "other-authority"),
    ]);
  });

  test("must be the one, and must be told who asks", async () => {
    const tls = { server: await own.issue("signer"), clientCa: own.ca };
    await using server = await startWeb3Signer([alice.privateKey], tls);
    const client = await own.issue("attestor");
    const stranger = await other.issue("stranger");
    const open = (ca: string, files: object) =>
      openKeys(
        {
          ...nowhere,
          remote: {
            url: server.url,
            tls: { ca, certificate: undefined, key: undefined, ...files },
          },
        },
        signal,
      );
    const opened = await open(own.ca, client);
    await expectSigned(opened.keys, alice.address);
    // A certificate that was replaced counts from the next request on.
    writeFileSync(client.certificate, "");
    await expect(opened.keys.sign(alice.address, dataOf("a"), signal)).rejects.toEqual(away);
    const renewed = await own.issue("attestor");
    expect(renewed).toEqual(client);
    await expectSigned(opened.keys, alice.address);
    opened.close();
    await expect(open(other.ca, client)).rejects.toThrow(/certificate/);
    await expect(open(own.ca, {})).rejects.toThrow();
    await expect(open(own.ca, stranger)).rejects.toThrow();
    await expect(open(join(folder, "none"), client)).rejects.toThrow(
      "ATTESTOR_REMOTE_SIGNER_CA_FILE",
    );
  });
});

describe("a key management service", () => {
  const keyId = "alias/attestor";
  let server: TestKms;
  beforeAll(async () => {
    vi.stubEnv("AWS_REGION", "eu-central-1");
    vi.stubEnv("AWS_ACCESS_KEY_ID", "test");
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "test");
    server = await startKms(keyId, alice.privateKey);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await server[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    server.behaviour.refusal = undefined;
    server.behaviour.keySpec = "ECC_SECG_P256K1";
  });

  const open = async (id = keyId) => {
    const kms = { keyIds: [id], endpoint: server.url };
    const opened = await openKeys({ ...nowhere, kms }, signal);
    return { ...opened, [Symbol.dispose]: opened.close };
  };

  test("signs, whichever half s lies in", async () => {
    using opened = await open();
    expect(opened.keys.addresses).toEqual([alice.address]);
    // Each is in the upper half as often as not: all 40 in one half is a chance of one in 10^12.
    for (let index = 0; index < 40; index += 1) {
      await expectSigned(opened.keys, alice.address, `n${index}`);
    }
    expect(server.highS()).toBeGreaterThan(0);
    expect(server.highS()).toBeLessThan(40);
    await opened.keys.probe(alice.address, signal);
  });

  test.each([
    { status: 500, name: "KMSInternalException" },
    { status: 400, name: "ThrottlingException" },
  ])("that answers $name is away", async (refusal) => {
    using opened = await open();
    server.behaviour.refusal = refusal;
    await expect(opened.keys.sign(alice.address, dataOf("a"), signal)).rejects.toEqual(away);
  });

  test.each(["DisabledException", "AccessDeniedException", "NotFoundException"])(
    "that answers %s has to be mended by somebody",
    async (name) => {
      using opened = await open();
      server.behaviour.refusal = { status: 400, name };
      await expect(opened.keys.sign(alice.address, dataOf("a"), signal)).rejects.toThrow(name);
    },
  );

  test("with a key of another curve, or without the key, stops the start", async () => {
    server.behaviour.keySpec = "ECC_NIST_P256";
    await expect(open()).rejects.toThrow(
      'ATTESTOR_KMS_KEY_IDS is "alias/attestor": expected a key ECC_SECG_P256K1',
    );
    await expect(open("alias/none")).rejects.toThrow("NotFoundException");
  });
});
