// Goal: with three replicas of a real TigerBeetle, one that dies, hangs, is cut off or loses its disk costs seconds and
// nothing else. Method: a mesh of its own by ./mesh up --replicas 3 under clients over every protocol; each replica is
// killed in turn, one is stopped, one is cut off from the others, the majority is stopped, all die at once, the disk of one
// is full, and one loses its data file and is recovered; then every answer is held against the ledger. FAULT_SEED repeats
// what its clients do.
import { rmSync } from "node:fs";
import { connect } from "node:net";
import { freemem } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { replicasOf } from "../../cli/parts/replicas.ts";
import { openDisk, type TestDisk, whyNoDisk } from "../support/disk/disk.ts";
import { JudgedLoad } from "../support/faults/judged-load.ts";
import { kill, killAll, pause } from "../support/faults/mesh-faults.ts";
import { type ReplicaNetwork, startReplicaNetwork } from "../support/faults/replica-network.ts";
import { passVerdict, verdictLine } from "../support/faults/verdict.ts";
import { hasTigerBeetle } from "../support/ledger/tigerbeetle.ts";
import { startMesh, type TestMesh } from "../support/mesh/mesh.ts";
import { healthyStatus } from "../support/rpc/healthy-status.ts";

const seed = Number(process.env["FAULT_SEED"] ?? 20_261_130);
/** To end what hangs, and far above what a slow machine needs. */
const patienceMs = 180_000;
/** Replicas that elect another primary need a second or two: longer than that, and far shorter than any patience. */
const hangMs = 2_500;
const memoryBytes = 6e9;
/** A data file of TigerBeetle takes a gigabyte from its first day on. */
const diskMb = 1_400;
const clearedWhileFull = 40;

const missing = hasTigerBeetle
  ? freemem() < memoryBytes && "three replicas take 5 GB of memory"
  : "the program `tigerbeetle` is not on PATH";

describe.skipIf(missing !== false)(
  `three replicas among faults (FAULT_SEED=${seed})${missing === false ? "" : ` (skipped: ${missing})`}`,
  { timeout: 2 * patienceMs },
  () => {
    let disk: TestDisk | undefined;
    let network: ReplicaNetwork;
    let mesh: TestMesh;
    let load: JudgedLoad;
    let names: readonly string[];

    beforeAll(async () => {
      // The first has a disk of its own, where one can be had.
      if (whyNoDisk() === undefined) disk = openDisk(diskMb);
      const disks = disk === undefined ? [] : [[0, disk.folder] as const];
      network = await startReplicaNetwork(3, new Map(disks));
      mesh = await startMesh({
        engine: "tigerbeetle",
        replicas: 3,
        environment: network.environment,
      });
      names = replicasOf(mesh.settings, mesh.identity).map(({ name }) => name);
      load = new JudgedLoad({ mesh, seed, address: mesh.address, pauseMsMax: 30 });
      await load.start();
    }, patienceMs);
    afterAll(async () => {
      await load?.stop();
      load?.close();
      await mesh?.stop();
      await network?.stop();
      disk?.remove();
    }, patienceMs);

    /** Waits until a clearing begins and ends well after that instant, and tells how long that took. */
    async function clearsAfter(what: string, sinceMs: number): Promise<void> {
      const ms = await load.servedAfter("clearing", sinceMs, patienceMs);
      console.log(`${what}: cleared again after ${(ms / 1_000).toFixed(1)} s`);
    }

    async function listens(name: string): Promise<void> {
      const { settings, identity } = mesh;
      const replica = replicasOf(settings, identity).find((one) => one.name === name);
      const connects = () =>
        new Promise<boolean>((resolve) => {
          const socket = connect({ host: settings.host, port: replica?.port ?? 0 });
          socket.once("error", () => resolve(false));
          socket.once("connect", () => {
            socket.destroy();
            resolve(true);
          });
        });
      await expect.poll(connects, { timeout: patienceMs }).toBe(true);
    }

    test("are shown one by one, and are what a second up finds", async () => {
      const status = JSON.parse(await healthyStatus(mesh, patienceMs));
      expect(status).toMatchObject({ engine: "tigerbeetle", replicas: 3 });
      const shown = status.parts.filter(({ name }: { name: string }) => names.includes(name));
      expect(shown).toHaveLength(3);
      const other = await mesh.run("up", "--replicas", "1");
      expect(other.stderr).toBe("mesh: a mesh is already running here: ./mesh down first\n");
      expect((await mesh.run("up", "--replicas", "3")).stdout).toMatch(/3 replicas/);
    });

    test("go on while one dies, each in turn", async () => {
      for (const name of names) {
        const { pid } = mesh.part(name);
        const sinceMs = performance.now();
        await kill(mesh, name).happen(0);
        await clearsAfter(`kill ${name}`, sinceMs);
        await expect.poll(() => mesh.part(name).pid, { timeout: patienceMs }).not.toBe(pid);
        // The next must not die before this one listens: two at once are another test.
        await listens(name);
      }
    });

    test("go on while one hangs, and while one is cut off", async () => {
      const [first = "", second = ""] = names;
      mesh.kill(first, "SIGSTOP");
      try {
        const status = await mesh.run("status");
        expect(status.stdout).toMatch(new RegExp(`^ +${first} .*frozen`, "m"));
        await clearsAfter(`${first} hangs`, performance.now());
      } finally {
        mesh.kill(first, "SIGCONT");
      }
      network.cutOff(1);
      try {
        await clearsAfter(`${second} is cut off`, performance.now());
      } finally {
        network.join();
      }
      await clearsAfter(`${second} is joined again`, performance.now());
    });

    test("go on as soon as a majority is back", async () => {
      const [first = "", second = ""] = names;
      const both = [first, second].map((name) => pause(mesh, name).happen(hangMs));
      await Promise.all(both);
      await clearsAfter("two of three hung", performance.now());
      await killAll(mesh, names).happen(0);
      await clearsAfter("all three killed", performance.now());
      for (const name of names) await listens(name);
    });

    test("go on while the disk of one is full, and have it back once it is not", async (context) => {
      if (disk === undefined) return context.skip(whyNoDisk());
      disk.fill();
      try {
        const cleared = load.cleared;
        await expect
          .poll(() => load.cleared, { timeout: patienceMs })
          .toBeGreaterThan(cleared + clearedWhileFull);
        await clearsAfter(`the disk of ${names[0]} is full`, performance.now());
      } finally {
        disk.free();
      }
      await listens(names[0] ?? "");
    });

    test("bring back one that has lost its data, and never format it", async () => {
      const lost = replicasOf(mesh.settings, mesh.identity)[2];
      if (lost === undefined) throw new Error("there are three");
      rmSync(lost.file);
      mesh.kill(lost.name);
      const status = async () => (await mesh.run("status")).stdout;
      await expect
        .poll(status, { timeout: patienceMs })
        .toMatch(/tigerbeetle-2 .*its data file .* is gone; \.\/mesh ledger recover 2/);
      await clearsAfter("one has lost its data", performance.now());
      const recovered = await mesh.run("ledger", "recover", "2");
      expect(recovered, recovered.stderr).toMatchObject({ code: 0 });
      await listens(lost.name);
    });

    test("lose nothing, double nothing, and tell a reason each time", async () => {
      const verdict = await passVerdict(mesh, load);
      const { refusals, unanswered, overrunMs } = load.judge;
      console.log(verdictLine(verdict));
      console.log([...refusals].map(([what, times]) => `${what} ${times}`).join(", "));
      console.log(`${unanswered} ended by their caller's clock, ${overrunMs.toFixed(0)} ms late`);
      const { lost, doubled, wrong, strange } = verdict;
      expect({ lost, doubled, wrong, strange }).toEqual({
        lost: [],
        doubled: [],
        wrong: [],
        strange: [],
      });
      expect(verdict.cleared).toBeGreaterThan(0);
      expect(load.patientErrors).toEqual([]);
    });
  },
);
