// Goal: whatever goes wrong in whatever order, nothing acknowledged is lost or doubled, and every answer has a reason.
// Method: a whole mesh under clients over every protocol, and every fault that mesh-faults.ts has, each once and then as it
// comes, for as long as it is told; then every answer is held against the ledger. It takes ./mesh test faults --minutes N:
// FAULT_MINUTES is its time on all engines together, FAULT_SEED repeats the plan of the faults, and FAULT_REPORT names
// the file that the last line of the command is made of.
import { appendFileSync } from "node:fs";
import { freemem } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openDisk, type TestDisk, whyNoDisk } from "../support/disk/disk.ts";
import { planFaults } from "../support/faults/fault-schedule.ts";
import { JudgedLoad } from "../support/faults/judged-load.ts";
import { type Fault, meshFaults } from "../support/faults/mesh-faults.ts";
import { passVerdict, verdictLine } from "../support/faults/verdict.ts";
import { engines, type TestEngine } from "../support/ledger/tigerbeetle.ts";
import { startMesh, type TestMesh } from "../support/mesh/mesh.ts";
import { healthyStatus } from "../support/rpc/healthy-status.ts";
import { startTcpProxy, type TcpProxy } from "../support/rpc/tcp-proxy.ts";

const { FAULT_MINUTES, FAULT_SEED, FAULT_REPORT } = process.env;
const seed = Number(FAULT_SEED ?? 20_261_130);
const present = engines.filter(({ missing }) => missing === undefined);
const engineMs = (Number(FAULT_MINUTES ?? 0) * 60_000) / present.length;
/** To end what hangs, and far above what a slow machine needs. */
const patienceMs = 300_000;
/** Of three replicas. With less there is one. */
const memoryBytes = 6e9;
/** What a mesh writes in a long run. A disk here takes up only what is written to it. */
const diskMb = 2_000;
/** A data file of TigerBeetle takes a gigabyte from its first day on. */
const replicaMb = 1_200;

for (const engine of engines) {
  const unwanted =
    FAULT_MINUTES === undefined ? "./mesh test faults --minutes 5 runs it" : undefined;
  const reason = engine.missing ?? unwanted;
  const name = `a random mix of all faults (FAULT_SEED=${seed}) on ${engine.name}`;
  describe.skipIf(reason !== undefined)(
    reason === undefined ? name : `${name} (skipped: ${reason})`,
    () => mix(engine),
  );
}

function mix(engine: TestEngine): void {
  const replicas = engine.name === "tigerbeetle" && freemem() > memoryBytes ? 3 : undefined;
  const withoutDisk = FAULT_MINUTES === undefined ? undefined : whyNoDisk();
  let disk: TestDisk | undefined;
  let mesh: TestMesh;
  let proxy: TcpProxy;
  let load: JudgedLoad;

  beforeAll(async () => {
    const megabytes = diskMb + (engine.name === "tigerbeetle" ? (replicas ?? 1) * replicaMb : 0);
    if (withoutDisk === undefined) disk = openDisk(megabytes);
    else console.log(`no full disk among the faults: ${withoutDisk}`);
    mesh = await startMesh({
      engine: engine.name,
      ...(replicas === undefined ? {} : { replicas }),
      ...(disk === undefined ? {} : { state: join(disk.folder, "state") }),
    });
    proxy = await startTcpProxy(mesh.address);
    load = new JudgedLoad({ mesh, seed, address: `127.0.0.1:${proxy.port}`, pauseMsMax: 30 });
    await load.start();
  }, patienceMs);
  afterAll(async () => {
    await load?.stop();
    load?.close();
    await proxy?.stop();
    await mesh?.run("down"); // the supervisor may be another one by now
    await mesh?.stop();
    disk?.remove();
  }, patienceMs);

  test(
    "loses nothing, doubles nothing, and tells a reason each time",
    async () => {
      const done = await breakFor(engineMs, meshFaults({ mesh, proxy, disk }), load);
      await healthyStatus(mesh, patienceMs);
      await load.servedAfter("clearing", performance.now(), patienceMs);
      const verdict = await passVerdict(mesh, load);
      const { refusals, unanswered } = load.judge;
      console.log([...refusals].map(([what, times]) => `${what} ${times}`).join(", "));
      console.log(
        `${engine.name}, FAULT_SEED=${seed}: ${done} faults, ${verdictLine(verdict)}; ${unanswered} calls ended by their caller's clock, ${load.patientErrors.length} errors at those who repeat`,
      );
      const { lost, doubled, wrong, strange, cleared, answered } = verdict;
      report({
        faults: done,
        answered,
        cleared,
        lost: lost.length,
        doubled: doubled.length,
        wrong: wrong.length,
        strange: strange.length,
      });
      expect({ lost, doubled, wrong, strange }).toEqual({
        lost: [],
        doubled: [],
        wrong: [],
        strange: [],
      });
      expect(cleared).toBeGreaterThan(0);
    },
    engineMs + 3 * patienceMs,
  );
}

/**
 * Follows the plan until the time is over, and says what it does. In the first round it waits until callers are served
 * again, and tells how long that took since what had hit them was gone; from then on faults may meet. Resolves with how
 * many there were.
 */
async function breakFor(
  forMs: number,
  faults: readonly Fault[],
  load: JudgedLoad,
): Promise<number> {
  const endMs = performance.now() + forMs;
  let count = 0;
  for (const { what, pauseMs, lengthMs } of planFaults(seed, faults)) {
    await sleep(pauseMs);
    if (performance.now() >= endMs) break;
    await what.happen(lengthMs);
    count += 1;
    if (count > faults.length) {
      console.log(what.name);
      continue;
    }
    const sinceMs = performance.now();
    const took = what.hits.map((service) => load.servedAfter(service, sinceMs, patienceMs));
    const ms = Math.max(0, ...(await Promise.all(took)));
    console.log(`${what.name}: served again after ${(ms / 1_000).toFixed(1)} s`);
  }
  return count;
}

function report(counts: Readonly<Record<string, number>>): void {
  if (FAULT_REPORT !== undefined) appendFileSync(FAULT_REPORT, `${JSON.stringify(counts)}\n`);
}
