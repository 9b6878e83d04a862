import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Problem } from "../command/problem.ts";
import { readSettings } from "../state/settings.ts";
import { type Cluster, formatOnce, lossOf, requireLost } from "./replica-files.ts";
import { replicaAddresses, replicasOf } from "./replicas.ts";

const identity = {
  engine: "tigerbeetle",
  external: false,
  clusterId: "7",
  environment: "development",
  chainId: "31337",
  verifyingContract: "0x000000000000000000000000000000000000dEaD",
} as const;

let state: string;
let program: string;

beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "sovr-replicas-"));
  program = join(state, "program");
  // Writes what it was told into the file that it was told to make.
  const script = '#!/bin/sh\nfor last; do :; done\necho "$@" >"$last"\n';
  writeFileSync(program, script, { mode: 0o755 });
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

function clusterOf(count: number): Cluster {
  const settings = readSettings({ MESH_STATE: state, TIGERBEETLE_PORT: "3000" });
  return {
    settings,
    clusterId: "7",
    replicas: replicasOf(settings, { ...identity, replicas: count }),
  };
}

describe("replicasOf", () => {
  it("gives each a name, a port and a file of its own, and one alone the plain ones", () => {
    expect(clusterOf(3).replicas.map(({ name, port }) => [name, port])).toEqual([
      ["tigerbeetle-0", 3000],
      ["tigerbeetle-1", 3001],
      ["tigerbeetle-2", 3002],
    ]);
    const [one] = replicasOf(readSettings({ MESH_STATE: state }), identity);
    expect(one).toMatchObject({ name: "tigerbeetle", file: join(state, "tigerbeetle.data") });
    const { settings, replicas } = clusterOf(3);
    expect(replicaAddresses(settings, replicas)).toBe(
      "127.0.0.1:3000,127.0.0.1:3001,127.0.0.1:3002",
    );
  });

  it("is empty for the embedded engine and for a cluster elsewhere", () => {
    const settings = readSettings({ MESH_STATE: state });
    expect(replicasOf(settings, { ...identity, engine: "embedded" })).toEqual([]);
    expect(replicasOf(settings, { ...identity, external: true })).toEqual([]);
  });

  it("names the port that leaves no room for the others", () => {
    const settings = readSettings({ MESH_STATE: state, TIGERBEETLE_PORT: "65534" });
    expect(() => replicasOf(settings, { ...identity, replicas: 3 })).toThrow(
      /TIGERBEETLE_PORT is 65534/,
    );
  });
});

describe("formatOnce", () => {
  it("makes every file of a new cluster, and goes on where it was interrupted", async () => {
    const cluster = clusterOf(3);
    const [first] = cluster.replicas;
    writeFileSync(first?.file ?? "", "made before");
    await formatOnce(cluster, program);
    const told = cluster.replicas.map(({ file }) => readFileSync(file, "utf8"));
    expect(told[0]).toBe("made before");
    expect(told[2]).toMatch(/^format --cluster=7 --replica=2 --replica-count=3 --development /);
  });

  it("never formats a replica that has lost its file, and names the remedy", async () => {
    const cluster = clusterOf(3);
    const [, second] = cluster.replicas;
    if (second === undefined) throw new Error("three were asked for");
    expect(lossOf(cluster, second)).toBeUndefined();
    await formatOnce(cluster, program);
    expect(() => requireLost(cluster, 1)).toThrow(/nothing to recover/);
    rmSync(second.file);
    await formatOnce(cluster, program);
    expect(existsSync(second.file)).toBe(false);
    expect(lossOf(cluster, second)).toMatch(
      /tigerbeetle-1\.data is gone; \.\/mesh ledger recover 1/,
    );
    expect(requireLost(cluster, 1)).toBe(second);
    expect(() => requireLost(cluster, 3)).toThrow(/they are 0 to 2/);
  });

  it("refuses to begin with fewer than can bring back the rest", async () => {
    const cluster = clusterOf(3);
    await formatOnce(cluster, program);
    for (const { file } of cluster.replicas.slice(1)) rmSync(file);
    await expect(formatOnce(cluster, program)).rejects.toThrow(Problem);
    await expect(formatOnce(cluster, program)).rejects.toThrow(
      /tigerbeetle-1\.data, tigerbeetle-2\.data .*put copies of them back/,
    );
  });
});
