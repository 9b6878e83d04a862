import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { alice, bob } from "../../test/support/intents/intents.ts";
import { openSignersFile, type SignersFile } from "./signers-file.ts";

const activateTime = "2026-01-01T00:00:00Z";
const aliceEntry = { address: alice.address, activateTime };
const bobEntry = { address: bob.address, activateTime };

let folder: string;
let path: string;
let file: SignersFile | undefined;
const onFault = vi.fn();

beforeEach(() => {
  vi.useFakeTimers();
  onFault.mockReset();
  folder = mkdtempSync(join(tmpdir(), "sovr-signers-"));
  path = join(folder, "signers.json");
});
afterEach(() => {
  file?.close();
  vi.useRealTimers();
  rmSync(folder, { recursive: true });
});

/** Each write has a time of its own, as writes that a person makes have. */
let writes = 0;
function write(text: string): void {
  writes += 1;
  writeFileSync(path, text);
  utimesSync(path, 1_700_000_000 + writes, 1_700_000_000 + writes);
}

function open(entries: readonly object[]): SignersFile {
  write(JSON.stringify(entries));
  file = openSignersFile(path, onFault);
  return file;
}

const addresses = () => file?.current().map(({ address }) => address);
const nextPoll = () => vi.advanceTimersByTime(1_000);

describe("openSignersFile", () => {
  test("a file that is missing or bad stops the start", () => {
    expect(() => openSignersFile(path, onFault)).toThrow("ENOENT");
    expect(() => openSignersFile(path, onFault)).toThrow(`SIGNERS_FILE is "${path}"`);
    write("[]");
    expect(() => openSignersFile(path, onFault)).toThrow("signers: must be a JSON array");
    expect(vi.getTimerCount()).toBe(0);
  });

  test("a change is read within a second", () => {
    open([aliceEntry]);
    write(JSON.stringify([aliceEntry, bobEntry]));
    expect(addresses()).toEqual([alice.address]);
    nextPoll();
    expect(addresses()).toEqual([alice.address, bob.address]);
    expect(onFault).not.toHaveBeenCalled();
  });

  test("a bad change leaves the signers as they were and is told once; the next good one is read", () => {
    open([aliceEntry]);
    write('[{"address":');
    nextPoll();
    nextPoll();
    expect(addresses()).toEqual([alice.address]);
    expect(onFault).toHaveBeenCalledTimes(1);
    write(JSON.stringify([aliceEntry, bobEntry]));
    nextPoll();
    expect(addresses()).toEqual([alice.address, bob.address]);
  });

  test("a file that goes away and comes back is read", () => {
    open([aliceEntry]);
    rmSync(path);
    nextPoll();
    expect(addresses()).toEqual([alice.address]);
    expect(onFault).toHaveBeenCalledTimes(1);
    write(JSON.stringify([aliceEntry, bobEntry]));
    nextPoll();
    expect(addresses()).toEqual([alice.address, bob.address]);
  });

  test("an entry may change and never vanish", () => {
    open([aliceEntry, bobEntry]);
    write(JSON.stringify([aliceEntry]));
    nextPoll();
    expect(addresses()).toEqual([alice.address, bob.address]);
    expect(onFault).toHaveBeenCalledWith(
      expect.objectContaining({ message: expect.stringContaining(bob.address) }),
      "the signers file is bad; the signers stay as they were",
    );
    write(JSON.stringify([aliceEntry, { ...bobEntry, revokeTime: activateTime }]));
    nextPoll();
    expect(file?.current()[1]?.revokeTime).toBeDefined();
  });

  test("looks no more once closed", () => {
    open([aliceEntry]).close();
    expect(vi.getTimerCount()).toBe(0);
  });
});
