import { once } from "node:events";
import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keyFiles } from "../../cli/state/keys.ts";
import { identify } from "../../cli/state/process-identity.ts";
import { readSettings, type Settings } from "../../cli/state/settings.ts";
import { readState, requireMesh } from "../../cli/state/state.ts";
import {
  newStateFolder,
  privateEnvironment,
  runMeshCommand,
  startMesh,
  type TestMesh,
} from "../support/mesh/mesh.ts";
import { healthyStatus } from "../support/rpc/healthy-status.ts";

describe("./mesh up, running", () => {
  let mesh: TestMesh;

  beforeAll(async () => {
    mesh = await startMesh();
  });
  afterAll(() => mesh?.stop());

  it("shows every part healthy in status", async () => {
    const status = JSON.parse(await healthyStatus(mesh));
    expect(status).toMatchObject({ engine: "embedded", supervised: true, phase: "ready" });
    expect(status.parts.map((part: { name: string }) => part.name)).toEqual([
      "postgres",
      "ledger",
      "clearing",
      "attestor",
      "eventstream",
      "checkout",
      "stripe-sim",
      "studio",
      "envoy",
    ]);
    for (const part of status.parts) {
      expect(part).toMatchObject({ healthy: true, health: "serving", restarts: 0 });
      expect(part.version).toMatch(/^[0-9]+\.[0-9]+/);
      expect(part.latencyMs).toBeGreaterThan(0);
    }
  });

  it("says that it is already running when it is started twice", async () => {
    const { code, stdout } = await mesh.run("up");
    expect(stdout).toMatch(/^The mesh is already running\. Engine: embedded/);
    expect(code).toBe(0);
  });

  it.each([["--fresh"], ["--engine", "tigerbeetle"]])(
    "refuses %s while it runs",
    async (...flags) => {
      const { code, stderr } = await mesh.run("up", ...flags);
      expect(stderr).toBe("mesh: a mesh is already running here: ./mesh down first\n");
      expect(code).toBe(1);
    },
  );

  it("starts parts again that were killed, and status tells", async () => {
    const killed = ["clearing", "checkout", "stripe-sim"];
    const before = new Set(killed.map((name) => mesh.part(name).pid));
    for (const name of killed) mesh.kill(name);
    await expect.poll(() => killed.filter((name) => before.has(mesh.part(name).pid))).toEqual([]);
    await expect.poll(async () => (await mesh.run("status")).code, { interval: 200 }).toBe(0);
    expect(killed.map((name) => mesh.part(name).restarts)).toEqual([1, 1, 1]);
  });

  it("lets a command do again what the contract lets it, until a part that was killed is back", async () => {
    const { address } = mesh.wallet("carol");
    mesh.kill("clearing");
    const { code, stdout, stderr } = await mesh.run("fund", address, "1.00");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("available: 1.00 USD");
  });

  it("does not say that all is well when it is started twice and a part does not serve", async () => {
    const { pid } = mesh.part("checkout");
    mesh.kill("checkout", "SIGSTOP");
    try {
      const { code, stdout, stderr } = await mesh.run("up", "--detach");
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toMatch(/already running, but checkout does not serve \(frozen: /);
    } finally {
      mesh.kill("checkout", "SIGCONT");
    }
    expect(mesh.part("checkout").pid).toBe(pid);
  });

  it("names what runs although nothing of it is written down any more", async () => {
    const file = join(mesh.settings.state, "state.json");
    const before = readFileSync(file);
    writeFileSync(file, "");
    const { code, stderr } = await mesh.run("status");
    writeFileSync(file, before);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /is not written down any more in .*, and these do: .*clearing \([0-9]+\)/,
    );
  });

  it("names a part that does not answer in status, and fails", async () => {
    mesh.kill("attestor", "SIGSTOP");
    try {
      const { code, stdout } = await mesh.run("status");
      expect(stdout).toMatch(/^ {2}attestor +0\.1\.0 +frozen: its process is stopped/m);
      expect(code).toBe(1);
    } finally {
      mesh.kill("attestor", "SIGCONT");
    }
  });

  it("keeps secrets where only the owner reads them, and out of every log", async () => {
    const keys = keyFiles(mesh.settings);
    const logins = Object.values(keys.databaseLogins);
    const secrets = [
      keys.issuer,
      keys.checkout,
      keys.attestor,
      keys.databasePassword,
      keys.databaseUrl,
      ...logins.flatMap(({ password, url }) => [password, url]),
      keys.stripe.secretKey,
      keys.stripe.webhookSecret,
    ];
    const folder = join(mesh.settings.state, "logs");
    const logs = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
    expect(logs.length).toBeGreaterThan(8);
    for (const file of secrets) {
      expect(statSync(file).mode & 0o777).toBe(0o600);
      const secret = readFileSync(file, "utf8");
      const words = file.endsWith(".jwk") ? [(JSON.parse(secret) as { d: string }).d] : [secret];
      for (const word of words) expect(logs.filter((log) => log.includes(word))).toEqual([]);
    }
    expect(statSync(keys.folder).mode & 0o777).toBe(0o700);
  });

  it("lets nobody else into its state folder, and not to what is in there", () => {
    const { state } = mesh.settings;
    // As root, PostgreSQL runs as another user, whose group passes the folder to what is its own.
    expect(statSync(state).mode & 0o777).toBe(process.getuid?.() === 0 ? 0o710 : 0o700);
    const entries = readdirSync(state, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() || entry.isDirectory() || entry.isSocket())
      .map((entry) => join(entry.parentPath, entry.name));
    expect(entries.length).toBeGreaterThan(100);
    // A file of PostgreSQL's may go while one looks.
    const mode = (path: string) => statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
    expect(entries.filter((path) => (mode(path) & 0o077) !== 0)).toEqual([]);
  });
});

describe("./mesh up, refused", () => {
  let state: string;
  let environment: NodeJS.ProcessEnv;
  let settings: Settings;

  beforeAll(async () => {
    state = await newStateFolder();
    environment = await privateEnvironment(state);
    settings = readSettings(environment);
  });
  afterAll(() => rm(state, { recursive: true, force: true }));

  it("names a port that is in use and the variable that moves it", async () => {
    const port = settings.ports.services.clearing.grpc;
    const other = createServer().listen(port, "127.0.0.1");
    await once(other, "listening");
    try {
      const { code, stderr } = await runMeshCommand(settings, environment, ["up"]);
      expect(stderr).toBe(
        `mesh: port ${port} is in use: stop what listens there, or choose another with CLEARING_GRPC_PORT\n`,
      );
      expect(code).toBe(1);
      expect(existsSync(join(state, "state.json"))).toBe(false);
    } finally {
      other.close();
    }
  });

  it.each([
    ["ENVOY_PORT", "eighty", /^mesh: ENVOY_PORT is "eighty": expected a whole number/],
    ["ENVOY_PORT", "0", /^mesh: ENVOY_PORT is "0": expected a whole number from 1/],
    ["TIGERBEETLE_CLUSTER_ID", "-1", /^mesh: TIGERBEETLE_CLUSTER_ID is "-1": expected/],
    [
      "LOG_LEVEL",
      "loud",
      /^mesh: [\w-]+ ended at its start \(.*\): .*LOG_LEVEL is "loud": expected one of/,
    ],
  ])("names the bad variable %s=%s and leaves nothing running", async (name, value, line) => {
    const { code, stderr } = await runMeshCommand(settings, { ...environment, [name]: value }, [
      "up",
    ]);
    expect(stderr).toMatch(line);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(code).toBe(1);
    expect(readState(settings)).toBeUndefined();
  });

  it("names a program that is missing", async () => {
    const without = { ...environment, PATH: "/nowhere" };
    const { code, stderr } = await runMeshCommand(settings, without, [
      "up",
      "--fresh",
      "--yes",
      "--engine",
      "tigerbeetle",
    ]);
    expect(stderr).toMatch(/^mesh: tigerbeetle is not on PATH: install it/);
    expect(code).toBe(1);
  });
});

describe("./mesh up --detach and down", () => {
  let state: string;
  let environment: NodeJS.ProcessEnv;
  let settings: Settings;

  beforeAll(async () => {
    state = await newStateFolder();
    environment = await privateEnvironment(state);
    settings = readSettings(environment);
  });
  afterAll(async () => {
    await runMeshCommand(settings, environment, ["down"]);
    await rm(state, { recursive: true, force: true });
  });

  const run = (...command: string[]) => runMeshCommand(settings, environment, command);
  const pids = () => readState(settings)?.parts.map((part) => part.pid) ?? [];
  const killSupervisor = async () => {
    const { pid } = requireMesh(settings).state.supervisor;
    process.kill(pid, "SIGKILL");
    await expect.poll(() => identify(pid)).toBeUndefined();
  };

  it("leaves nothing running after down", async () => {
    const up = await run("up", "--detach");
    expect(up.stderr).toBe("");
    expect(up.stdout).toMatch(/The mesh is ready after [0-9.]+ s\./);
    expect(up.code).toBe(0);
    const started = pids();
    expect(started).toHaveLength(9);

    const down = await run("down");
    expect(down).toMatchObject({ code: 0, stdout: "stopping …\nstopped\n" });
    expect(started.filter((pid) => identify(pid) !== undefined)).toEqual([]);
    expect((await run("status")).stderr).toMatch(/^mesh: no mesh is running here/);
    expect((await run("down")).stdout).toBe("no mesh is running here\n");
  });

  it("keeps to the engine of its data", async () => {
    const { code, stderr } = await run("up", "--engine", "tigerbeetle");
    expect(stderr).toMatch(
      /^mesh: the data here belongs to the engine "embedded", not "tigerbeetle"/,
    );
    expect(code).toBe(1);
  });

  it("adopts what a supervisor that was killed left serving, and keeps it alive", async () => {
    expect((await run("up", "--detach")).code).toBe(0);
    const orphans = pids();
    await killSupervisor();
    await sleep(100);
    expect((await run("status")).code).toBe(1);

    const again = await run("up", "--detach");
    expect([again.code, again.stderr]).toEqual([0, ""]);
    expect(again.stdout.match(/runs and serves already$/gm)).toHaveLength(9);
    expect(pids()).toEqual(orphans);
    expect((await run("status")).code).toBe(0);

    // Nobody but its parent is told of the end of a process; an adopted one is missed all the same.
    const [ledger] = readState(settings)?.parts.filter(({ name }) => name === "ledger") ?? [];
    process.kill(ledger?.pid ?? 0, "SIGKILL");
    await expect.poll(async () => (await run("status")).code, { interval: 200 }).toBe(0);
    const [restarted] = readState(settings)?.parts.filter(({ name }) => name === "ledger") ?? [];
    expect(restarted).toMatchObject({ restarts: 1 });
    expect(restarted?.pid).not.toBe(ledger?.pid);

    const running = pids();
    expect((await run("down")).stdout).toBe("stopping …\nstopped\n");
    expect(running.filter((pid) => identify(pid) !== undefined)).toEqual([]);
  });

  it("stops what a killed supervisor left if it would be started otherwise now", async () => {
    expect((await run("up", "--detach")).code).toBe(0);
    const orphans = pids();
    await killSupervisor();
    // One is frozen; of the others nothing is known any more, but for the marks that they carry.
    const frozen = readState(settings)?.parts.find(({ name }) => name === "clearing");
    process.kill(frozen?.pid ?? 0, "SIGSTOP");
    const state = readState(settings);
    writeFileSync(
      join(settings.state, "state.json"),
      JSON.stringify({ ...state, parts: state?.parts.filter(({ name }) => name !== "studio") }),
    );
    writeFileSync(join(settings.state, "supervisor.lock"), "");

    const again = await runMeshCommand(settings, { ...environment, LOG_LEVEL: "debug" }, [
      "up",
      "--detach",
    ]);
    expect(again.stdout).toMatch(/^stopped 9 processes that an earlier mesh had left running$/m);
    expect([again.code, again.stderr]).toEqual([0, ""]);
    expect(orphans.filter((pid) => identify(pid) !== undefined)).toEqual([]);

    const orphansAgain = pids();
    await killSupervisor();
    writeFileSync(join(settings.state, "state.json"), ""); // as a power cut left it
    const down = await run("down");
    expect(down.stdout).toMatch(/stopped, with 9 processes that were left running/);
    expect(orphansAgain.filter((pid) => identify(pid) !== undefined)).toEqual([]);
  });

  it("deletes no data unless it is told twice, and names what goes", async () => {
    const refused = await run("up", "--fresh", "--detach");
    expect(refused.stderr).toMatch(
      /^mesh: --fresh deletes the ledger and all records .*ledger\.db.*postgres.*; say --fresh --yes/,
    );
    expect(refused.code).toBe(1);
    expect(existsSync(join(state, "ledger.db"))).toBe(true);
  });

  it("starts on no ledger but its own, until somebody adopts the one that is there", async () => {
    const ledger = join(state, "ledger.db");
    const lost = `${ledger}.lost`;
    renameSync(ledger, lost);
    const refused = await run("up", "--detach");
    expect(refused.stderr).toMatch(/^mesh: clearing ended .*there is no ledger, and the records/);
    expect([refused.code, existsSync(ledger)]).toEqual([1, false]);

    // The mesh is down by now; what keeps the records runs for as long as this takes.
    const audit = await run("audit");
    expect(audit.stdout).toMatch(/^LEDGER_DIFFERS: .* does not have it: it is empty/);
    expect(audit.stdout).toMatch(
      /^0 transfers, .*, not the records' ledger, .* orders, 0 lost\n$/m,
    );
    expect([audit.code, existsSync(ledger)]).toEqual([1, false]);
    const told = await run("ledger", "adopt");
    expect(told.stdout).toMatch(/The ledger there is: .* empty.*Nothing was changed/s);
    expect(told.code).toBe(1);
    expect(await run("ledger", "adopt", "--yes")).toMatchObject({ code: 0, stderr: "" });

    expect((await run("up", "--detach")).code).toBe(0);
    expect(existsSync(ledger)).toBe(true);
    expect((await run("down")).code).toBe(0);
    rmSync(lost);
  });

  it("takes data without mesh.json for what it is: somebody's", async () => {
    const file = join(state, "mesh.json");
    const identity = readFileSync(file, "utf8");
    rmSync(file);
    const lost = await run("up", "--detach");
    expect(lost.stderr).toMatch(
      /^mesh: .*mesh\.json is gone, and .*ledger\.db.* put a copy of it back/,
    );
    writeFileSync(file, "");
    expect((await run("up", "--detach")).stderr).toMatch(/^mesh: .*mesh\.json is damaged/);
    writeFileSync(file, identity);
    expect(existsSync(join(state, "ledger.db"))).toBe(true);
  });
});
