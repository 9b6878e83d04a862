import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { chooseIdentity, dataIn } from "./choose-identity.ts";
import { readSettings, type Settings } from "./settings.ts";
import { readIdentity } from "./state.ts";

let state: string;
let settings: Settings;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "identity-"));
  settings = readSettings({ MESH_STATE: state });
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

const choose = (choice: { engine?: "embedded" | "tigerbeetle"; replicas?: number }) =>
  chooseIdentity(settings, {}, { fresh: false, engine: choice.engine, replicas: choice.replicas });

describe("chooseIdentity", () => {
  it("takes replicas for a wish for TigerBeetle, and keeps their number", () => {
    expect(choose({ replicas: 3 })).toMatchObject({ engine: "tigerbeetle", replicas: 3 });
    expect(choose({})).toMatchObject({ engine: "tigerbeetle", replicas: 3 });
    expect(choose({ replicas: 3 })).toEqual(choose({ engine: "tigerbeetle" }));
  });

  it.each([
    [3, 1, /belongs to a cluster of 3 replicas, not of 1: say --replicas 3/],
    [1, 3, /belongs to a cluster of 1 replica, not of 3: say --replicas 1/],
  ])("refuses data of %i replicas for %i by name", (has, wanted, message) => {
    choose({ replicas: has });
    const before = readdirSync(state);
    expect(() => choose({ replicas: wanted })).toThrow(message);
    expect(readdirSync(state)).toEqual(before);
  });

  it("refuses replicas of what has none", () => {
    expect(() => choose({ engine: "embedded", replicas: 3 })).toThrow(/embedded engine has no rep/);
    choose({});
    expect(() => choose({ replicas: 3 })).toThrow(/belongs to the engine "embedded"/);
    const elsewhere = { ...settings, tigerbeetleAddresses: "10.0.0.1:3000" };
    expect(() =>
      chooseIdentity(elsewhere, {}, { fresh: false, engine: undefined, replicas: 3 }),
    ).toThrow(/TIGERBEETLE_ADDRESSES is set/);
  });
});

describe("dataIn", () => {
  it("counts every file of every replica", () => {
    const files = ["tigerbeetle-0.data", "tigerbeetle-2.data.new", "tigerbeetle.formatted"];
    for (const name of [...files, "envoy.yaml"]) writeFileSync(join(state, name), "");
    expect(dataIn(settings)).toEqual(files);
  });
});

describe("starting over", () => {
  const startOver = () =>
    chooseIdentity(settings, {}, { fresh: true, engine: undefined, replicas: undefined });

  /** Data of a mesh as it lies there, and what belongs to it. */
  function makeData(...names: string[]): void {
    mkdirSync(join(state, "postgres"));
    for (const name of names) writeFileSync(join(state, name), "data");
  }

  it("deletes data when it is told to, and keeps keys and logs", () => {
    const first = choose({});
    makeData("ledger.db", "keys", "logs");
    expect(startOver().clusterId).not.toBe(first.clusterId);
    expect(readdirSync(state).toSorted()).toEqual(["keys", "logs", "mesh.json"]);
  });

  it("takes data of which nothing says whose it is for somebody's", () => {
    makeData("ledger.db");
    expect(() => choose({})).toThrow(
      /mesh\.json is gone, and .*ledger\.db.* put a copy of it back/,
    );
    expect(existsSync(join(state, "ledger.db"))).toBe(true);
  });

  it("goes on deleting what it was told to delete when the power was cut", () => {
    makeData("ledger.db", "deleting");
    choose({});
    expect(readdirSync(state)).toEqual(["mesh.json"]);
  });

  it("deletes nothing of a whole copy that somebody has put back meanwhile", () => {
    const first = choose({});
    makeData("ledger.db", "deleting");
    expect(choose({})).toEqual(first);
    expect(readIdentity(settings)).toEqual(first);
    expect(readdirSync(state).toSorted()).toEqual(["ledger.db", "mesh.json", "postgres"]);
  });
});
