import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { identify, type ProcessIdentity } from "./process-identity.ts";
import { readSettings, type Settings } from "./settings.ts";
import { claimState, readState } from "./state.ts";

let state: string;
let settings: Settings;
let self: ProcessIdentity;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "state-"));
  settings = readSettings({ MESH_STATE: state });
  self = identify(process.pid) ?? { pid: process.pid, started: "" };
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

describe("claimState", () => {
  it("is given to one, and to the next when that one has let go", () => {
    const release = claimState(settings, self);
    expect(release).toBeDefined();
    expect(claimState(settings, self)).toBeUndefined();
    release?.();
    expect(claimState(settings, self)).toBeDefined();
  });

  it.each([
    ["nothing", ""],
    ["half a lock", '{"pid": 12'],
    ["no owner", "{}"],
    ["null", "null"],
    ["an owner who is gone", JSON.stringify({ pid: process.pid, started: "another process" })],
  ])("takes over a lock that holds %s", (_, text) => {
    writeFileSync(join(state, "supervisor.lock"), text);
    expect(claimState(settings, self)).toBeDefined();
    expect(readdirSync(state)).toEqual(["supervisor.lock"]);
  });
});

describe("readState", () => {
  it.each(["", "{", "[", "1", "null"])(
    "takes %j for no state: what runs is found by its marks",
    (text) => {
      writeFileSync(join(state, "state.json"), text);
      expect(readState(settings)).toBeUndefined();
    },
  );
});
