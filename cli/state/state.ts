import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../command/problem.ts";
import { isRunning, type ProcessIdentity } from "./process-identity.ts";
import type { Engine, Ports, Settings } from "./settings.ts";
import { writeWhole, writeWholeOnce } from "./write-whole.ts";

/** What the data in the state folder belongs to. Evidence and ledger belong together, so it never changes. */
export interface MeshIdentity {
  readonly engine: Engine;
  /** True: the cluster runs elsewhere (TIGERBEETLE_ADDRESSES). */
  readonly external: boolean;
  /** How many replicas of TigerBeetle run on this machine, if any do. Absent: one, as in older files. */
  readonly replicas?: number;
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
  /** Of how it was started (fingerprintOf): whether it is still what would be started now. Absent in older files. */
  readonly fingerprint?: string;
  /** What it said of itself when it was first ready. */
  readonly version?: string;
}

/** What runs now. */
export interface MeshState {
  readonly supervisor: ProcessIdentity;
  readonly phase: "starting" | "ready" | "stopping";
  readonly host: string;
  readonly ports: Ports;
  /** Whether everything is encrypted. Absent in older files: it is not. */
  readonly tls?: boolean;
  /** Whether who wants a token of Studio's signs in. Absent in older files: nobody does. */
  readonly signIn?: boolean;
  /** Whether the provider of identities runs here. Absent in older files: it does, if anybody signs in. */
  readonly identityHere?: boolean;
  /** Where the cluster is that runs elsewhere, so that every command finds it, whatever its environment says. */
  readonly tigerbeetleAddresses?: string;
  /** In the order in which they were started. */
  readonly parts: readonly PartState[];
}

const identityFile = (settings: Settings) => join(settings.state, "mesh.json");
const stateFile = (settings: Settings) => join(settings.state, "state.json");
const lockFile = (settings: Settings) => join(settings.state, "supervisor.lock");

/** Throws a Problem for a file that cannot be read: the data beside it belongs to what it said. */
export function readIdentity(settings: Settings): MeshIdentity | undefined {
  const file = identityFile(settings);
  if (!existsSync(file)) return undefined;
  const identity = parseFile(file) as MeshIdentity | undefined;
  if (identity !== undefined) return identity;
  throw new Problem(
    `${file} is damaged; it says which ledger and which signatures the data beside it belongs to: put a copy of it back`,
  );
}

export function writeIdentity(settings: Settings, identity: MeshIdentity): void {
  writeJson(identityFile(settings), identity);
}

/** Undefined also for a file that cannot be read: it only lists what runs, and that can be found without it. */
export function readState(settings: Settings): MeshState | undefined {
  return parseFile(stateFile(settings)) as MeshState | undefined;
}

export function writeState(settings: Settings, state: MeshState): void {
  writeJson(stateFile(settings), state);
}

export function removeState(settings: Settings): void {
  rmSync(stateFile(settings), { force: true });
}

/** The settings that the mesh runs with, whatever the environment says now. */
export function settingsOf(settings: Settings, state: MeshState): Settings {
  const { tigerbeetleAddresses = settings.tigerbeetleAddresses, ports } = state;
  const { tls = false, signIn = false, identityHere = true } = state;
  return { ...settings, ports, tls, signIn, identityHere, tigerbeetleAddresses };
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
  const file = lockFile(settings);
  // Twice: a lock whose owner is gone is removed once, and then it is ours or somebody was faster.
  for (let attempt = 0; attempt < 2; attempt++) {
    if (writeWholeOnce(file, JSON.stringify(self))) return () => rmSync(file, { force: true });
    const owner = ownerOf(file);
    if (owner !== undefined && isRunning(owner)) return undefined;
    rmSync(file, { force: true });
  }
  return undefined;
}

/**
 * The process that keeps the mesh of this state folder alive, if one does: as it wrote down, or, where that file is lost,
 * as the lock names it.
 */
export function findSupervisor(settings: Settings): ProcessIdentity | undefined {
  const found = readState(settings)?.supervisor ?? ownerOf(lockFile(settings));
  return found !== undefined && isRunning(found) ? found : undefined;
}

/** Who holds a lock; undefined for one that names nobody, as one that a power cut left empty. */
function ownerOf(file: string): ProcessIdentity | undefined {
  const owner = parseFile(file) as Partial<ProcessIdentity> | undefined;
  const { pid, started } = owner ?? {};
  return typeof pid === "number" && typeof started === "string" ? { pid, started } : undefined;
}

/** The object in a file of JSON; undefined if there is no file, or none in it. */
function parseFile(file: string): object | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(file, "utf8"));
    return typeof value === "object" && value !== null ? value : undefined;
  } catch (error) {
    const isOurs =
      error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT";
    if (isOurs) return undefined;
    throw error;
  }
}

function writeJson(file: string, value: unknown): void {
  writeWhole(file, `${JSON.stringify(value, null, 2)}\n`);
}
