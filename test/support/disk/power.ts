import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Settings } from "../../../cli/state/settings.ts";
import type { TestDisk } from "./disk.ts";

/** A moment of a start, told by what has happened and not by the clock, so that it means the same on every machine. */
export interface StartMoment {
  /** A file below the state folder that must be there, or how many lines `./mesh up` must have said. */
  readonly after: string | number;
  /** And so much later. */
  readonly delayMs: number;
}

/** What comes into being during a first start, about in this order. */
export const firstTraces: readonly string[] = [
  "supervisor.lock",
  "keys/issuer.jwk",
  "keys/jwks.json",
  "keys/signers.json",
  "keys/database-password",
  "keys/stripe-webhook-secret",
  "mesh.json",
  "stripe-sim.db",
  "postgres.new",
  "postgres.new/base",
  "postgres.new/global/pg_control",
  "postgres/PG_VERSION",
  "keys/database-url",
  "keys/database-url-clearing",
  "logs/clearing.log",
  "ledger.db",
  "ledger.db-wal",
  "envoy.yaml",
];

export interface CutStart {
  readonly disk: TestDisk;
  readonly settings: Settings;
  /** In which `./mesh up` runs. */
  readonly environment: NodeJS.ProcessEnv;
  readonly flags: readonly string[];
  readonly moment: StartMoment;
  /** Called at the moment: afterwards nothing can be read from the disk. */
  readonly look?: () => void;
}

/** Runs `./mesh up` until a moment, or until it has ended, and cuts the power then. Returns when all have ended. */
export async function cutDuringStart(start: CutStart): Promise<void> {
  const { disk, settings, environment, flags, moment } = start;
  const script = join(settings.root, "cli/up.ts");
  const child = spawn(process.execPath, [script, "--detach", ...flags], {
    env: environment,
    stdio: ["ignore", "pipe", "ignore"],
  });
  let lines = 0;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    lines += text.split("\n").length - 1;
  });
  const { after } = moment;
  const hasCome = () =>
    typeof after === "number" ? lines >= after : existsSync(join(settings.state, after));
  while (!hasCome() && isAlive(child)) await sleep(2);
  await sleep(moment.delayMs);
  start.look?.();
  disk.cut();
  await killAll(settings.state);
}

function isAlive({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}

const endMs = 30_000;

/**
 * Ends at once all that belongs to the mesh of a state folder: parts, supervisor, commands. Rejects if that takes half a
 * minute. A power cut leaves no zombies either: until somebody has buried it, PostgreSQL takes its last one for alive.
 */
export async function killAll(state: string): Promise<void> {
  const killed = new Set<number>();
  for (const untilMs = Date.now() + endMs; ; await sleep(10)) {
    const pids = processesOf(state);
    const isLate = Date.now() > untilMs;
    if (pids.length === 0 && (isLate || ![...killed].some(isListed))) return;
    if (isLate) throw new Error(`they do not end: ${pids.join(", ")}`);
    for (const pid of pids) {
      killed.add(pid);
      kill(pid);
    }
  }
}

function isListed(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

/** What was started with this state folder in its environment; the parts of a mesh inherit it. */
function processesOf(state: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => environmentOf(name).split("\0").includes(`MESH_STATE=${state}`))
    .map(Number);
}

function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1");
  } catch {
    return ""; // gone meanwhile
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // gone meanwhile
  }
}
