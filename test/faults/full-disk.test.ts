// Goal: a full disk is an outage and not a crash. Method: a mesh whose state lies on a small disk of its own, under
// clearings; the disk is filled and kept full, parts and the supervisor are killed on it, commands are run on it, and it
// is freed again; then every answer is held against the ledger, and the audit reads it all. FAULT_SEED: on TigerBeetle too.
import { appendFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isRunning } from "../../cli/state/process-identity.ts";
import { readState } from "../../cli/state/state.ts";
import { logFile } from "../../cli/supervisor/log-files.ts";
import { findStrays } from "../../cli/supervisor/strays.ts";
import { everyTransferOf, MeshLoad, steadyClient } from "../support/clearing/mesh-load.ts";
import { openDisk, type TestDisk, whyNoDisk } from "../support/disk/disk.ts";
import { engines, type TestEngine } from "../support/ledger/tigerbeetle.ts";
import { startMesh, type TestMesh } from "../support/mesh/mesh.ts";
import { healthyStatus } from "../support/rpc/healthy-status.ts";

/** A data file of TigerBeetle takes a gigabyte from its first day on. */
const megabytes = { embedded: 160, tigerbeetle: 1_400 };
const clientsCount = 4;
/** To end what hangs, and far above what a slow machine needs. */
const patience = { timeout: 120_000, interval: 100 };
const hookMs = 300_000;
/** What a program that keeps records may end of, where it cannot write. */
const keepers = ["postgres", "tigerbeetle"];

const { FAULT_SEED } = process.env;

/** In the suite on the embedded engine alone, for the time it takes; by hand, with FAULT_SEED, on TigerBeetle as well. */
for (const engine of engines) {
  const isWanted = engine.name === "embedded" || FAULT_SEED !== undefined;
  const unwanted = isWanted ? undefined : "it takes FAULT_SEED to run it";
  const reason = engine.missing ?? unwanted ?? whyNoDisk();
  const name = `a mesh on a full disk on ${engine.name}`;
  describe.skipIf(reason !== undefined)(
    reason === undefined ? name : `${name} (skipped: ${reason})`,
    { timeout: 600_000 },
    () => describeFullDisk(engine),
  );
}

function describeFullDisk(engine: TestEngine): void {
  let disk: TestDisk;
  let mesh: TestMesh;
  let load: MeshLoad;

  beforeAll(async () => {
    disk = openDisk(megabytes[engine.name]);
    mesh = await startMesh({ engine: engine.name, state: join(disk.folder, "state") });
    load = new MeshLoad(await steadyClient(mesh.settings), mesh.wallet().address);
    await load.open();
    load.start(clientsCount);
  }, hookMs);
  afterAll(async () => {
    await load?.stop();
    disk?.free();
    await mesh?.run("down");
    await mesh?.stop();
    disk?.remove();
  }, hookMs);

  test("refuses with a reason while it is full, and clears as soon as it is not", async () => {
    await moreCleared(20);
    const before = servicesOf(mesh);
    disk.fill();
    await moreRefused(40);
    const status = JSON.parse((await mesh.run("status", "--json")).stdout);
    expect(status).toMatchObject({ supervised: true, phase: "ready" });
    disk.free();
    await recovered("after a full disk");
    // They have stayed up, and so has whatever they knew.
    expect(servicesOf(mesh)).toEqual(before);
    expect([...load.refusals.keys()].filter((reason) => !onFullDisk.includes(reason))).toEqual([]);
  });

  test("starts again whatever died on it, each once, and loses none", async () => {
    fillLastBlock(logFile(mesh.settings, "mesh"));
    disk.fill();
    const killed = findStrays(mesh.settings.state);
    for (const { pid } of killed) process.kill(pid, "SIGKILL");
    await expect.poll(() => killed.filter(isRunning), patience).toEqual([]);
    await moreRefused(40);
    expectNoDoubles(mesh);
    disk.free();
    const { supervised, parts } = JSON.parse(await recovered("after all had died on a full disk"));
    expect(supervised).toBe(true);
    expectNoDoubles(mesh);
    expect(parts.map(({ pid }: { pid: number }) => pid).toSorted()).toEqual(
      findStrays(mesh.settings.state)
        .map(({ pid }) => pid)
        .toSorted(),
    );
  });

  test.skipIf(engine.name !== "embedded")("lets commands tell the truth on it", async () => {
    forgetLastLog(mesh);
    disk.fill();
    const supervisor = readState(mesh.settings)?.supervisor;
    if (supervisor === undefined) throw new Error("a mesh runs");
    process.kill(supervisor.pid, "SIGKILL");
    await expect.poll(() => isRunning(supervisor), patience).toBe(false);
    expect((await mesh.run("status")).stdout).toMatch(/^The supervisor is gone/m);
    await expectRefusedStart(mesh);
    expectNoDoubles(mesh);
    disk.free();
    expect(await mesh.run("up", "--detach")).toMatchObject({ code: 0, stderr: "" });
    expectNoDoubles(mesh);
    await moreCleared(20);

    forgetLastLog(mesh);
    disk.fill();
    expect(await mesh.run("down")).toMatchObject({ code: 0, stderr: "" });
    expect(findStrays(mesh.settings.state)).toEqual([]);
    await expectRefusedStart(mesh);
    expect(findStrays(mesh.settings.state)).toEqual([]);
    disk.free();
    expect(await mesh.run("up", "--detach")).toMatchObject({ code: 0, stderr: "" });
    await moreCleared(20);
  });

  test("has every acknowledged clearing once, and an audit that finds nothing", async () => {
    await load.stop();
    await load.settle();
    expect(load.strange).toEqual([]);
    expect(load.answers.check(await everyTransferOf(mesh))).toEqual([]);
    const audit = await mesh.run("audit");
    expect(audit, audit.stdout).toMatchObject({ code: 0 });
  });

  /** Waits until so many more calls were refused. */
  async function moreRefused(count: number): Promise<void> {
    const refused = () => [...load.refusals.values()].reduce((sum, times) => sum + times, 0);
    const before = refused();
    await expect.poll(refused, patience).toBeGreaterThanOrEqual(before + count);
  }

  /** Waits until the mesh clears and every part serves, and prints how long that took. Returns what its status says. */
  async function recovered(when: string): Promise<string> {
    const beganMs = performance.now();
    await moreCleared(1);
    const clearedMs = performance.now() - beganMs;
    const status = await healthyStatus(mesh, patience.timeout);
    const all = performance.now() - beganMs;
    console.log(
      `${when}: cleared ${Math.round(clearedMs)} ms after there was room, all served ${Math.round(all)} ms after`,
    );
    return status;
  }

  async function moreCleared(count: number): Promise<void> {
    const before = load.cleared;
    await expect.poll(() => load.cleared, patience).toBeGreaterThanOrEqual(before + count);
  }
}

/** What a caller may be told while nothing can be written. */
const onFullDisk = ["RECORDS_UNAVAILABLE", "LEDGER_UNAVAILABLE"];

/** The processes of the services, by name. */
function servicesOf(mesh: TestMesh): Record<string, number> {
  const services = findStrays(mesh.settings.state).filter(({ name }) => !keepers.includes(name));
  return Object.fromEntries(services.map(({ name, pid }) => [name, pid]));
}

/** No part runs twice, whatever is written down of it. */
function expectNoDoubles(mesh: TestMesh): void {
  const names = findStrays(mesh.settings.state).map(({ name }) => name);
  expect(names.toSorted()).toEqual([...new Set(names)].toSorted());
}

/** One line that says what to do, and nothing that destroys. */
async function expectRefusedStart(mesh: TestMesh): Promise<void> {
  const { code, stderr } = await mesh.run("up", "--detach");
  expect(stderr).toMatch(
    /^mesh: .* cannot be used: the disk is full: make room, then run this again\n$/,
  );
  expect(code).toBe(1);
}

/** Deletes the log before the last one, which a start would do on the full disk, and make room for itself. */
function forgetLastLog({ settings }: TestMesh): void {
  rmSync(`${logFile(settings, "mesh")}.1`, { force: true });
}

/** Grows a log to the end of a block, so that another line needs one more. */
function fillLastBlock(file: string): void {
  appendFileSync(file, `${"-".repeat(4_095 - (statSync(file).size % 4_096))}\n`);
}
