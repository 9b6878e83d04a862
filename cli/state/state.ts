import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Problem } from "../command/problem.ts";
import { isRunning, type ProcessIdentity } from "./process-identity.ts";
import type { Engine, Ports, Settings } from "./settings.ts";

/** What the data in the state folder belongs to. Evidence and ledger belong together, so it never changes. */
export interface MeshIdentity {
  readonly engine: Engine;
  /** True: the cluster runs elsewhere (TIGERBEETLE_ADDRESSES). */
  readonly external: boolean;
  /** u128 as a decimal string. */
  readonly clusterId: string;
  readonly environment: string;
  readonly chainId: string;
  readonly verifyingContract: string;
}

export interface PartState extends ProcessIdentity {
  readonly name: string;
  readonly stopSignal: NodeJS.Signals;
  readonly restarts: number;
}

/** What runs now. */
export interface MeshState {
  readonly supervisor: ProcessIdentity;
  readonly phase: "starting" | "ready" | "stopping";
  readonly host: string;
  readonly ports: Ports;
  /** In the order in which they were started. */
  readonly parts: readonly PartState[];
}

const identityFile = (settings: Settings) => join(settings.state, "mesh.json");
const stateFile = (settings: Settings) => join(settings.state, "state.json");

export function readIdentity(settings: Settings): MeshIdentity | undefined {
  return readJson(identityFile(settings)) as MeshIdentity | undefined;
}

export function writeIdentity(settings: Settings, identity: MeshIdentity): void {
  writeJson(identityFile(settings), identity);
}

export function readState(settings: Settings): MeshState | undefined {
  return readJson(stateFile(settings)) as MeshState | undefined;
}

export function writeState(settings: Settings, state: MeshState): void {
  writeJson(stateFile(settings), state);
}

export function removeState(settings: Settings): void {
  rmSync(stateFile(settings), { force: true });
}

/** The running mesh and what its data belongs to; a Problem if none runs. */
export function requireMesh(settings: Settings): { state: MeshState; identity: MeshIdentity } {
  const state = readState(settings);
  const identity = readIdentity(settings);
  if (state === undefined || identity === undefined || !isRunning(state.supervisor)) {
    throw new Problem("no mesh is running here: start one with ./mesh up");
  }
  if (state.phase !== "ready")
    throw new Problem(`the mesh is ${state.phase}: try again in a moment`);
  return { state, identity };
}

/**
 * Claims the state folder for this process, so that two ./mesh up cannot both start. Returns the function
 * that gives it back, or undefined if another process holds it.
 */
export function claimState(settings: Settings, self: ProcessIdentity): (() => void) | undefined {
  const file = join(settings.state, "supervisor.lock");
  mkdirSync(settings.state, { recursive: true });
  // Twice: a lock whose owner is gone is removed once, and then it is ours or somebody was faster.
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      writeFileSync(file, JSON.stringify(self), { flag: "wx" });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const owner = readJson(file) as ProcessIdentity | undefined;
      if (owner !== undefined && isRunning(owner)) return undefined;
      rmSync(file, { force: true });
    }
  }
  return undefined;
}

function readJson(file: string): unknown {
  if (!existsSync(file)) return undefined;
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    throw new Problem(`${file} is damaged: ./mesh down, then ./mesh up --fresh starts over`);
  }
}

/** Whole or not at all: a reader never sees half a file. */
function writeJson(file: string, value: unknown): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, `${JSON.stringify(value, null, 2)}\n`);
  renameSync(`${file}.new`, file);
}
