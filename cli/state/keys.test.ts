// Goal: no key is lost or made anew silently where data depends on it. Method: real files, emptied as a power cut empties them.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addressOfPrivateKey } from "#common/intent/signature.ts";
import { ensureKeys, type KeyFiles } from "./keys.ts";
import { readSettings, type Settings } from "./settings.ts";

let state: string;
let settings: Settings;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "keys-"));
  settings = readSettings({ MESH_STATE: state });
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

const read = (file: string) => readFileSync(file, "utf8");
const empty = (file: string) => writeFileSync(file, "");
const signers = (files: KeyFiles): readonly { address: string }[] =>
  JSON.parse(read(files.signers));
const addressIn = (file: string) =>
  addressOfPrivateKey(Buffer.from(read(file).replace(/^0x/, ""), "hex"));

describe("ensureKeys", () => {
  it("makes each key once", async () => {
    const files = await ensureKeys(settings);
    const names = [files.issuer, files.checkout, files.jwks, files.attestor, files.signers];
    const before = [...names, files.databasePassword].map(read);
    await ensureKeys(settings);
    expect([...names, files.databasePassword].map(read)).toEqual(before);
    expect(signers(files).map(({ address }) => address)).toEqual([addressIn(files.attestor)]);
  });

  it("follows an Attestor's key that was lost by a new one, and goes on trusting what it signed", async () => {
    const files = await ensureKeys(settings);
    const lost = addressIn(files.attestor);
    empty(files.attestor);
    await ensureKeys(settings);
    const next = addressIn(files.attestor);
    expect(next).not.toBe(lost);
    expect(signers(files).map(({ address }) => address)).toEqual([lost, next]);
  });

  it("writes a list of signers that was lost anew for the key that is there", async () => {
    const files = await ensureKeys(settings);
    const key = read(files.attestor);
    empty(files.signers);
    await ensureKeys(settings);
    expect(read(files.attestor)).toBe(key);
    expect(signers(files).map(({ address }) => address)).toEqual([addressIn(files.attestor)]);
  });

  it("makes no other list of signers for records that were attested by those of one", async () => {
    const files = await ensureKeys(settings);
    mkdirSync(join(state, "postgres"));
    empty(files.signers);
    await expect(ensureKeys(settings)).rejects.toThrow(/signers\.json is empty or gone, and/);
    expect(read(files.signers)).toBe("");
  });

  it("makes a token key that was lost anew, with the set that the services read", async () => {
    const files = await ensureKeys(settings);
    empty(files.issuer);
    await ensureKeys(settings);
    const { kid } = JSON.parse(read(files.issuer));
    const { keys } = JSON.parse(read(files.jwks)) as { keys: { kid: string; d?: string }[] };
    expect(keys.map((key) => key.kid)).toContain(kid);
    expect(keys.every((key) => key.d === undefined)).toBe(true);
  });

  it("says what the tokens of each key may be good for, also beside a list that an older version wrote", async () => {
    const files = await ensureKeys(settings);
    const entries = () => {
      const { keys } = JSON.parse(read(files.jwks)) as { keys: { sovr_scopes?: string[] }[] };
      return keys.map(({ sovr_scopes }) => sovr_scopes);
    };
    const [issuer, checkout, studio] = entries();
    expect(issuer).toContain("attest.house");
    expect(checkout).toEqual(["attest.house", "attest", "clearing.write", "wallet.open"]);
    expect(studio).toContain("attest.propose");
    expect(studio).not.toContain("attest.house");
    const { keys } = JSON.parse(read(files.jwks)) as { keys: object[] };
    const older = keys.map((key) => ({ ...key, sovr_scopes: undefined }));
    writeFileSync(files.jwks, JSON.stringify({ keys: older }));
    await ensureKeys(settings);
    expect(entries()).toEqual([issuer, checkout, studio]);
  });

  it("finds a database password that was lost in the address that holds it", async () => {
    const files = await ensureKeys(settings);
    const password = read(files.databasePassword);
    mkdirSync(join(state, "postgres"));
    writeFileSync(files.databaseUrl, `postgres://sovr:${password}@127.0.0.1:5433/sovr`);
    empty(files.databasePassword);
    await ensureKeys(settings);
    expect(read(files.databasePassword)).toBe(password);
  });

  it("makes no other password for data that was made with one", async () => {
    const files = await ensureKeys(settings);
    mkdirSync(join(state, "postgres"));
    empty(files.databasePassword);
    await expect(ensureKeys(settings)).rejects.toThrow(/database-password is empty or gone, and/);
    expect(read(files.databasePassword)).toBe("");
    expect(existsSync(join(state, "postgres"))).toBe(true);
  });
});
