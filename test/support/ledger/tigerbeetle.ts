import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { describe } from "vitest";
import type { EngineConfig } from "#common/tigerbeetle/open-client.ts";
import { developmentFlags } from "../../../cli/parts/tigerbeetle.ts";
import { noteStarted } from "../../../cli/test/started.ts";
import { freePort } from "../rpc/free-port.ts";

/** A TigerBeetle of one replica, of a test's own. */
export interface TestTigerBeetle {
  /** host:port */
  readonly address: string;
  /** Its data. */
  readonly file: string;
  /** Stops it in its tracks (SIGSTOP): it answers nothing until `resume`. */
  pause(): void;
  resume(): void;
  /** Ends it with SIGKILL, as a crash does. The data stays. */
  kill(): Promise<void>;
  /** Starts it again over the same data and port, after `kill`. */
  restart(): Promise<void>;
  /** Ends it and deletes the data. Safe to repeat. */
  stop(): Promise<void>;
}

const startMs = 60_000;
const attemptsMax = 3;

/** The most events in one request of a replica that runs with --development. */
export const developmentBatchMax = 253;

/** Whether the program `tigerbeetle` is on PATH. */
export const hasTigerBeetle = isOnPath("tigerbeetle");

function isOnPath(program: string): boolean {
  const { PATH = "" } = process.env;
  return PATH.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * Formats and starts a TigerBeetle of one replica on a free port, with its data in a temporary folder. `full`: with
 * batches as in production, for measurements; it takes more memory and a disk with direct I/O.
 */
export async function startTigerBeetle(
  clusterId = 0n,
  mode: "development" | "full" = "development",
): Promise<TestTigerBeetle> {
  const folder = await mkdtemp(join(tmpdir(), "sovr-tigerbeetle-"));
  const file = join(folder, "0_0.tigerbeetle");
  try {
    await promisify(execFile)("tigerbeetle", [
      "format",
      `--cluster=${clusterId}`,
      "--replica=0",
      "--replica-count=1",
      ...modeFlags[mode].format,
      file,
    ]);
    for (let attempt = 1; ; attempt += 1) {
      const address = `127.0.0.1:${await freePort()}`;
      try {
        const start = () => startReplica(file, address, modeFlags[mode].start);
        return running(folder, file, start, address, await start());
      } catch (error) {
        // The port may have gone to somebody else between finding it and listening on it.
        if (attempt === attemptsMax) throw error;
      }
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

const modeFlags = {
  development: { format: ["--development"], start: developmentFlags },
  full: { format: [], start: ["--cache-grid=128MiB"] },
} as const;

function running(
  folder: string,
  file: string,
  start: () => Promise<ChildProcess>,
  address: string,
  first: ChildProcess,
): TestTigerBeetle {
  let replica = first;
  let stopped = false;
  const kill = async () => {
    if (replica.exitCode !== null || replica.signalCode !== null) return;
    const exited = once(replica, "exit");
    replica.kill("SIGKILL");
    await exited;
  };
  return {
    address,
    file,
    pause: () => void replica.kill("SIGSTOP"),
    resume: () => void replica.kill("SIGCONT"),
    kill,
    restart: async () => {
      await kill();
      replica = await start();
    },
    stop: async () => {
      if (stopped) return;
      stopped = true;
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function startReplica(
  file: string,
  address: string,
  flags: readonly string[],
): Promise<ChildProcess> {
  const replica = spawn("tigerbeetle", ["start", ...flags, `--addresses=${address}`, file], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  noteStarted("tigerbeetle");
  const endWithTest = () => void replica.kill("SIGKILL");
  process.once("exit", endWithTest);
  replica.once("exit", () => process.off("exit", endWithTest));
  let log = "";
  const listening = new Promise<void>((resolve, reject) => {
    replica.once("error", reject);
    replica.once("exit", () => reject(new Error(`tigerbeetle ended:\n${log}`)));
    replica.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      log = (log + chunk).slice(-8_000);
      if (log.includes("listening on")) resolve();
    });
  });
  const patience = new AbortController();
  const late = sleep(startMs, undefined, { signal: patience.signal }).then(() => {
    throw new Error(`tigerbeetle was not listening after ${startMs} ms:\n${log}`);
  });
  late.catch(() => {});
  listening.catch(() => {});
  try {
    await Promise.race([listening, late]);
    return replica;
  } catch (error) {
    replica.kill("SIGKILL");
    throw error;
  } finally {
    patience.abort();
  }
}

/** An engine that a suite runs on. */
export interface TestEngine {
  readonly name: "embedded" | "tigerbeetle";
  /** Why it cannot run here, or undefined. */
  readonly missing: string | undefined;
  /** Starts a fresh, empty ledger. */
  start(clusterId?: bigint): Promise<RunningEngine>;
}

export interface RunningEngine {
  /** What `openClient` takes. */
  readonly config: EngineConfig;
  /** The server behind it; undefined for the embedded engine. */
  readonly server: TestTigerBeetle | undefined;
  /** Ends it and deletes the data. */
  stop(): Promise<void>;
}

/** The engines that suites run on: the embedded one always, TigerBeetle where its program is on PATH. */
export const engines: readonly TestEngine[] = [
  { name: "embedded", missing: undefined, start: startEmbedded },
  {
    name: "tigerbeetle",
    missing: hasTigerBeetle ? undefined : "the program `tigerbeetle` is not on PATH",
    start: startReal,
  },
];

/** Runs a suite once on each engine; an engine that is missing is skipped by name, with the reason. */
export function describeOnEngines(name: string, suite: (engine: TestEngine) => void): void {
  for (const engine of engines) {
    const reason = engine.missing === undefined ? "" : ` (skipped: ${engine.missing})`;
    describe.skipIf(engine.missing !== undefined)(`${name} on ${engine.name}${reason}`, () =>
      suite(engine),
    );
  }
}

async function startEmbedded(clusterId = 0n): Promise<RunningEngine> {
  const folder = await mkdtemp(join(tmpdir(), "sovr-embedded-"));
  return {
    config: {
      clusterId,
      batchMax: 8_189,
      engine: { kind: "embedded", path: join(folder, "ledger.sqlite") },
    },
    server: undefined,
    // A client that was destroyed may still be closing its file.
    stop: () => rm(folder, { recursive: true, force: true, maxRetries: 20 }),
  };
}

async function startReal(clusterId = 0n): Promise<RunningEngine> {
  const server = await startTigerBeetle(clusterId);
  return {
    config: {
      clusterId,
      batchMax: developmentBatchMax,
      engine: { kind: "tigerbeetle", addresses: [server.address] },
    },
    server,
    stop: () => server.stop(),
  };
}
