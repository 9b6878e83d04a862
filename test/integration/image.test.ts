/**
 * Goal: the image has what every service needs and starts it. Method: follow the Dockerfile in a clean folder, without
 * Docker, and start each service from there as compose.yaml does, beside a real PostgreSQL and, where there is one, a
 * real TigerBeetle. Where runc works, each runs in a container as restricted as its pod, under k8s/seccomp/io-uring.json.
 * Also counted here: the TigerBeetle sessions that k8s/ budgets with.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { serviceNames } from "#common/service-names.ts";
import { runProgram } from "../../cli/command/run-program.ts";
import { noteStarted } from "../../cli/test/started.ts";
import {
  developmentBatchMax,
  hasTigerBeetle,
  startTigerBeetle,
  type TestTigerBeetle,
} from "../support/ledger/tigerbeetle.ts";
import { buildImageTree, filesOf, type ImageTree } from "../support/manifests/image-tree.ts";
import {
  containerCommand,
  containerPid,
  containersMissing,
  giveToContainer,
  killContainer,
} from "../support/manifests/oci-container.ts";
import { partNames } from "../support/manifests/service-configs.ts";
import { clientsOfReplica } from "../support/manifests/session-budget.ts";
import { openDatabase } from "../support/postgres/database.ts";
import type { TestDatabase } from "../support/postgres/postgres.ts";
import { freePort } from "../support/rpc/free-port.ts";

/** What compose.yaml runs of the image. */
const names = [...partNames, "stripe-sim"] as const;
type Name = (typeof names)[number];

const root = join(import.meta.dirname, "../..");
const readyMs = 60_000;
const folder = mkdtempSync(join(tmpdir(), "sovr-image-"));
const state = join(folder, "state");
const seccomp = join(root, "k8s/seccomp/io-uring.json");
const noContainers = await containersMissing(seccomp);
const how =
  noContainers === undefined
    ? "in a restricted container under io-uring.json"
    : `in no container (${noContainers})`;
const running: ChildProcess[] = [];
let tree: ImageTree;
let records: TestDatabase;
let tigerbeetle: TestTigerBeetle | undefined;

beforeAll(async () => {
  mkdirSync(state);
  [tree, records, tigerbeetle] = await Promise.all([
    buildImageTree(root, join(folder, "image")),
    openDatabase(),
    hasTigerBeetle ? startTigerBeetle(1n) : undefined,
  ]);
}, 600_000);

afterAll(async () => {
  for (const child of running) child.kill("SIGKILL");
  if (noContainers === undefined) {
    await Promise.all(names.map((name) => killContainer(folder, containerOf(name))));
  }
  await Promise.all([records?.stop(), tigerbeetle?.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a script of the image to its end. */
function runInImage(script: readonly string[], env: NodeJS.ProcessEnv) {
  const [program = "", ...flags] = tree.entrypoint;
  return runProgram(programOf(program), [...flags, ...script], {
    cwd: tree.folder,
    env: { ...tree.environment, ...env },
    timeoutMs: 60_000,
  });
}

/** The image's `node` is the one that runs this test. */
function programOf(name: string): string {
  expect(name).toBe("node");
  return process.execPath;
}

interface Started {
  readonly child: ChildProcess;
  /** Answers 200 when it is ready. */
  readonly ready: string;
  readonly log: () => string;
}

const containerOf = (name: Name) => `sovr-${name}-${process.pid}`;

/** Starts a service with the environment of compose.yaml, its addresses moved to this machine. */
async function start(name: Name): Promise<Started> {
  const ports = await Promise.all([freePort(), freePort(), freePort()]);
  const [grpc = "", connect = "", metrics = ""] = ports.map((port) => `127.0.0.1:${port}`);
  const env = {
    ...tree.environment,
    ...composeEnvironment(name),
    ...engineEnvironment(),
    GRPC_ADDRESS: grpc,
    CONNECT_ADDRESS: connect,
    // The simulator has one port for all that it answers.
    METRICS_ADDRESS: name === "stripe-sim" ? "" : metrics,
    STRIPE_SIM_ADDRESS: metrics,
    STRIPE_SIM_PATH: "",
  };
  const child = spawnService(name, env);
  noteStarted("service");
  running.push(child);
  let log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      log = (log + chunk.toString("utf8")).slice(-10_000);
    });
  }
  const path = name === "stripe-sim" ? "healthz" : "readyz";
  return { child, ready: `http://${metrics}/${path}`, log: () => log };
}

function spawnService(name: Name, env: Readonly<Record<string, string>>): ChildProcess {
  const main = `services/${name}/main.ts`;
  if (noContainers === undefined) {
    const [program = "", ...flags] = containerCommand(folder, {
      id: containerOf(name),
      args: [...tree.entrypoint, main],
      cwd: "/app",
      env,
      mounts: { "/app": tree.folder, "/keys": keysOf(name), "/state": state },
      // The embedded ledger lies there; with a TigerBeetle nothing is written.
      writable: tigerbeetle === undefined ? ["/state"] : [],
      seccomp,
    });
    return spawn(program, flags, { stdio: ["ignore", "pipe", "pipe"] });
  }
  const [program = "", ...flags] = tree.entrypoint;
  const moved = Object.entries(env).map(([variable, value]) => [
    variable,
    value.replace(/^\/state\//, `${state}/`).replace(/^\/keys\//, `${keysOf(name)}/`),
  ]);
  return spawn(programOf(program), [...flags, main], {
    cwd: tree.folder,
    env: Object.fromEntries(moved) as Record<string, string>,
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** What compose.yaml mounts as /keys. */
function keysOf(part: string): string {
  return join(folder, "keys", part);
}

function composeEnvironment(name: Name): Record<string, string> {
  const { services } = parse(readFileSync(join(root, "compose.yaml"), "utf8"), { merge: true }) as {
    readonly services: Record<string, { readonly environment: Record<string, string> }>;
  };
  return services[name]?.environment ?? {};
}

function engineEnvironment(): Record<string, string> {
  if (tigerbeetle === undefined) {
    return { TIGERBEETLE_ADDRESSES: "", EMBEDDED_LEDGER_PATH: "/state/ledger.db" };
  }
  return {
    TIGERBEETLE_ADDRESSES: tigerbeetle.address,
    TIGERBEETLE_BATCH_MAX: String(developmentBatchMax),
  };
}

async function untilReady({ child, ready, log }: Started): Promise<void> {
  const deadlineMs = Date.now() + readyMs;
  while (child.exitCode === null && Date.now() < deadlineMs) {
    const answer = await fetch(ready).catch(() => undefined);
    if (answer?.ok) return;
    await sleep(100);
  }
  throw new Error(`it did not get ready (exit code ${child.exitCode}):\n${log()}`);
}

/** How many connections a process has to a TCP port of this machine: a TigerBeetle client has one to each replica. */
function connectionsTo(port: number, pid: number): number {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      inodes.add(/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? "");
    } catch {
      // closed since the folder was read
    }
  }
  const established = "01";
  const remote = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((words) => words[2]?.endsWith(remote) && words[3] === established)
    .filter((words) => inodes.has(words[9] ?? "")).length;
}

function filesUnder(path: string): string[] {
  const inside = readdirSync(path, { recursive: true, encoding: "utf8" });
  return [path, ...inside.map((name) => join(path, name))];
}

describe("the image", () => {
  it("has the services and no tests, no keys, no development dependencies", async () => {
    const files = await filesOf(tree.folder);
    expect(files).toEqual(
      expect.arrayContaining([
        ...names.map((name) => `services/${name}/main.ts`),
        "services/studio/dist/index.html",
      ]),
    );
    const own = files.filter((file) => !file.startsWith("node_modules/"));
    expect(own.filter((file) => /\.test\.ts$|\.(key|jwk|db|env)$|^\.|\/\./.test(file))).toEqual([]);
    const packages = new Set(readdirSync(join(tree.folder, "node_modules")));
    const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      readonly devDependencies: Readonly<Record<string, string>>;
    };
    expect(["vitest", "typescript", "@biomejs"].filter((name) => packages.has(name))).toEqual([]);
    expect(Object.keys(devDependencies)).toContain("vitest");
  });

  it("makes the keys and Envoy's configuration as compose.yaml asks for them", async () => {
    const handOut = ["cli/keys.ts", "postgres:5432", "--hand-out", keysOf("")];
    expect(await runInImage(handOut, { MESH_STATE: state })).toMatchObject({ code: 0 });
    const owner = join(keysOf("migrate"), "database-url");
    expect(readFileSync(owner, "utf8")).toMatch(/^postgres:\/\/sovr:[\w-]+@postgres:5432\/sovr$/);
    writeFileSync(owner, records.databaseUrl);
    const logins = serviceNames.map((name) => {
      const file = join(keysOf(name), "database-url");
      const { username, password } = new URL(readFileSync(file, "utf8"));
      writeFileSync(file, Object.assign(new URL(records.databaseUrl), { username, password }).href);
      return `${name}=${file}`;
    });
    const migrated = await runInImage(["cli/migrate.ts", ...logins], {
      MIGRATION_DATABASE_URL_FILE: owner,
    });
    expect(migrated).toMatchObject({ code: 0 });
    const { services } = parse(readFileSync(join(root, "compose.yaml"), "utf8"), {
      merge: true,
    }) as {
      readonly services: Record<string, { readonly environment: Record<string, string> }>;
    };
    const file = join(state, "envoy.yaml");
    const { code, output } = await runInImage(
      ["cli/render-envoy.ts", file],
      services["prepare"]?.environment ?? {},
    );
    const hosts = [
      "ENVOY",
      ...serviceNames.map((name) => name.toUpperCase()),
      "STUDIO",
      "STRIPE_SIM",
    ];
    const told = `ALLOW_PLAINTEXT: in the clear beyond this machine: ${hosts.map((name) => `${name}_HOST`).join(", ")}\n`;
    expect([code, output]).toEqual([0, told]);
    expect(readFileSync(file, "utf8")).toContain('"address":"eventstream","port_value":5100');
  });

  it(`starts every service ${how}, which takes its sessions, is ready, and stops at SIGTERM`, async () => {
    if (noContainers === undefined)
      giveToContainer([...filesUnder(state), ...filesUnder(keysOf(""))]);
    const started = new Map<Name, Started>();
    for (const name of names) started.set(name, await start(name));
    for (const [, service] of started) await untilReady(service);
    if (tigerbeetle !== undefined && process.platform === "linux") {
      const port = Number(tigerbeetle.address.split(":")[1]);
      const pids = new Map<Name, number>();
      for (const [name, { child }] of started) {
        const inContainer = noContainers === undefined;
        pids.set(
          name,
          inContainer ? await containerPid(folder, containerOf(name)) : (child.pid ?? 0),
        );
      }
      // Clients connect by themselves, whether or not a service is ready for them.
      const sessions = () =>
        Object.fromEntries([...pids].map(([name, pid]) => [name, connectionsTo(port, pid)]));
      await expect.poll(sessions, { timeout: 30_000 }).toEqual({
        attestor: 0,
        checkout: 0,
        studio: 0,
        "stripe-sim": 0,
        ...clientsOfReplica,
        // One core has one batch thread in place of two.
        clearing: clientsOfReplica.clearing - (availableParallelism() > 1 ? 0 : 1),
      });
    }
    for (const [name, { child, log }] of started) {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      const [code] = await Promise.race([ended, sleep(15_000, ["still runs"])]);
      expect([name, code, code === 0 ? "" : log()]).toEqual([name, 0, ""]);
    }
  }, 240_000);
});
