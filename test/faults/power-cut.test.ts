// Goal: whenever the power is cut, during the first start, at work or during a later one, `./mesh up` makes a mesh of what is left, with
// the keys and every acknowledged clearing. Method: the state lies on an ext4 of its own that is shut down without its
// log being written, at seeded moments; all processes are killed, it is mounted again, and the mesh started. Then every
// answer is held against the ledger, and the audit reads it all. FAULT_SEED chooses other moments (and runs on
// TigerBeetle too), POWER_CUTS says how many histories there are.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { createWallet } from "../../cli/client/wallets.ts";
import { readSettings, type Settings } from "../../cli/state/settings.ts";
import { requireMesh } from "../../cli/state/state.ts";
import { everyTransferOf, MeshLoad, steadyClient } from "../support/clearing/mesh-load.ts";
import { openDisk, type TestDisk, whyNoDisk } from "../support/disk/disk.ts";
import { cutDuringStart, firstTraces, killAll, type StartMoment } from "../support/disk/power.ts";
import { createRandom } from "../support/intents/random-history.ts";
import { engines, type TestEngine } from "../support/ledger/tigerbeetle.ts";
import { type CommandResult, privateEnvironment, runMeshCommand } from "../support/mesh/mesh.ts";

const { FAULT_SEED, POWER_CUTS } = process.env;
const randomSeed = Number(FAULT_SEED ?? 20_261_124);
const historiesCount = Number(POWER_CUTS ?? 1);
const megabytes = { embedded: 300, tigerbeetle: 1_600 };
const clientsCount = 4;
/** What ./mesh up says of its parts, a line each. */
const linesMax = 9;
const patience = { timeout: 120_000, interval: 100 };

for (const engine of engines) {
  const isWanted = engine.name === "embedded" || FAULT_SEED !== undefined;
  const unwanted = isWanted ? undefined : "it takes FAULT_SEED to run it";
  const reason = engine.missing ?? unwanted ?? whyNoDisk();
  const name = `a mesh whose power is cut (FAULT_SEED=${randomSeed}) on ${engine.name}`;
  describe.skipIf(reason !== undefined)(
    reason === undefined ? name : `${name} (skipped: ${reason})`,
    { timeout: 600_000 },
    () => describePowerCuts(engine),
  );
}

function describePowerCuts(engine: TestEngine): void {
  const random = createRandom(randomSeed);
  const flags = ["--engine", engine.name];
  let disk: TestDisk | undefined;
  let state: string | undefined;

  afterEach(async () => {
    if (state !== undefined) await killAll(state);
    disk?.remove();
  });

  test.each(Array.from({ length: historiesCount }, (_, index) => index + 1))(
    "starts on what is left and has lost nothing, history %i",
    async () => {
      const own = openDisk(megabytes[engine.name]);
      disk = own;
      const folder = join(own.folder, "state");
      state = folder;
      const environment = await privateEnvironment(folder);
      const settings = readSettings(environment);
      const start = { disk: own, settings, environment, flags };
      const up = () => runMeshCommand(settings, environment, ["up", "--detach", ...flags]);

      const first = pick(random, [...firstTraces, ...upTo(linesMax)]);
      const cutAtFirst = { after: first, delayMs: Math.floor(200 * random()) };
      let keysThen: ReadonlyMap<string, string> = new Map();
      const look = () => {
        keysThen = keysOf(settings);
      };
      await cutDuringStart({ ...start, moment: cutAtFirst, look });
      await own.restore();
      if (existsSync(join(folder, "postgres"))) expectKept(settings, keysThen);
      expectStarted(await up(), [cutAtFirst]);

      const keys = keysOf(settings);
      const load = new MeshLoad(await steadyClient(settings), createWallet(settings).address);
      await load.open();
      load.start(clientsCount);
      await expect.poll(() => load.cleared, patience).toBeGreaterThan(50 + 100 * random());
      own.cut();
      await sleep(300 * random());
      await killAll(state);
      await load.stop();
      await own.restore();
      expectKept(settings, keys);

      const cutLater = { after: pick(random, upTo(linesMax)), delayMs: Math.floor(400 * random()) };
      await cutDuringStart({ ...start, moment: cutLater });
      await own.restore();
      expectKept(settings, keys);
      expectStarted(await up(), [cutAtFirst, cutLater]);
      await load.settle();
      expect(load.strange).toEqual([]);
      const { identity } = requireMesh(settings);
      expect(load.answers.check(await everyTransferOf({ settings, identity }))).toEqual([]);
      const audit = await runMeshCommand(settings, environment, ["audit"]);
      expect(audit, audit.stdout).toMatchObject({ code: 0 });
      expect(await runMeshCommand(settings, environment, ["down"])).toMatchObject({ code: 0 });
    },
  );
}

/** The mesh runs, and nobody was told to delete anything. Prints how long it took. */
function expectStarted(
  { code, stdout, stderr }: CommandResult,
  cuts: readonly StartMoment[],
): void {
  const cutAt = cuts.map(({ after, delayMs }) => `${delayMs} ms after ${after}`).join(", then ");
  expect(`${stdout}${stderr}`, cutAt).not.toMatch(/--fresh|damaged|delete/);
  expect([code, stderr], cutAt).toEqual([0, ""]);
  console.log(`${/^The mesh is ready after [0-9.]+ s/m.exec(stdout)} (cut ${cutAt})`);
}

/** The texts of all keys, and of what says whose the data is. */
function keysOf({ state }: Settings): ReadonlyMap<string, string> {
  const folder = join(state, "keys");
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => !isWritten(name)) : [];
  const files = [...names.map((name) => join("keys", name)), "mesh.json"];
  return new Map(
    files
      .filter((name) => existsSync(join(state, name)))
      .map((name) => [name, readFileSync(join(state, name), "utf8")]),
  );
}

/** At every start anew, or just now. */
function isWritten(name: string): boolean {
  return name.startsWith("database-url") || name.endsWith(".new");
}

function expectKept(settings: Settings, keys: ReadonlyMap<string, string>): void {
  expect(Object.fromEntries(keysOf(settings))).toMatchObject(Object.fromEntries(keys));
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

function pick<T>(random: () => number, items: readonly T[]): T {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new RangeError("nothing to pick");
  return item;
}
