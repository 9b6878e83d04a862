import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { formatWallet, parseWallet } from "#common/address.ts";
import { type Environment, readString, readU128 } from "#common/process/environment.ts";
import { Problem } from "../command/problem.ts";
import type { Engine, Settings } from "./settings.ts";
import { type MeshIdentity, readIdentity, writeIdentity } from "./state.ts";
import { syncFolder, writeWhole } from "./write-whole.ts";

export interface DataChoice {
  /** Start over: delete ledger and records; keys and wallets stay. */
  readonly fresh: boolean;
  /** What --engine says, if anything. */
  readonly engine: Engine | undefined;
  /** What --replicas says, if anything: replicas of TigerBeetle on this machine. */
  readonly replicas?: number | undefined;
}

/**
 * The identity of the data in the state folder, made the first time. Evidence and ledger belong together: a
 * wish for another engine or cluster than the data's is a Problem.
 */
export function chooseIdentity(
  settings: Settings,
  environment: Environment,
  choice: DataChoice,
): MeshIdentity {
  if (choice.engine === "embedded" && settings.tigerbeetleAddresses !== undefined) {
    throw new Problem("TIGERBEETLE_ADDRESSES is set: unset it, or leave out --engine embedded");
  }
  const external = settings.tigerbeetleAddresses !== undefined;
  if (choice.replicas !== undefined && external) {
    throw new Problem("TIGERBEETLE_ADDRESSES is set: unset it, or leave out --replicas");
  }
  const isFresh = choice.fresh || wasCutDeleting(settings);
  const existing = isFresh ? undefined : readIdentity(settings);
  const engine = external ? "tigerbeetle" : (engineOf(choice) ?? existing?.engine ?? "embedded");
  if (existing === undefined) {
    if (!isFresh) refuseOrphans(settings);
    deleteData(settings);
    const plain = newIdentity(settings, environment, engine, external);
    const { replicas } = choice;
    const identity = replicas === undefined || replicas === 1 ? plain : { ...plain, replicas };
    writeIdentity(settings, identity);
    return identity;
  }
  rmSync(deletingFile(settings), { force: true });
  refuseOther("engine", nameOf(existing.engine, existing.external), nameOf(engine, external));
  if (choice.replicas !== undefined) refuseOtherCount(existing.replicas ?? 1, choice.replicas);
  if (settings.clusterId !== undefined) {
    refuseOther("cluster", existing.clusterId, settings.clusterId.toString());
  }
  refuseOther("environment", existing.environment, settings.environment);
  return existing;
}

/** Data without the file that says whose it is was not made by a first start that was cut: that file comes first. */
function refuseOrphans(settings: Settings): void {
  const orphans = dataIn(settings).filter((name) => !/^postgres(\.new|-password)$/.test(name));
  if (orphans.length === 0) return;
  throw new Problem(
    `${join(settings.state, "mesh.json")} is gone, and ${orphans.join(", ")} beside it belong to what it said: put a copy of it back, or name another folder for other data by MESH_STATE`,
  );
}

function newIdentity(
  settings: Settings,
  environment: Environment,
  engine: Engine,
  external: boolean,
): MeshIdentity {
  // A cluster of its own each time: old cursors and signatures are worthless on new data. A cluster that runs
  // elsewhere has the id it has; 0 is TigerBeetle's own default.
  const clusterId =
    settings.clusterId ?? (external ? 0n : BigInt(randomBytes(4).readUInt32BE() || 1));
  const contract = readString(
    environment,
    "EIP712_VERIFYING_CONTRACT",
    formatWallet(randomBytes(20)),
  );
  return {
    engine,
    external,
    clusterId: clusterId.toString(),
    environment: settings.environment,
    chainId: readU128(environment, "EIP712_CHAIN_ID", 31_337n).toString(),
    verifyingContract: parseWallet(contract, "EIP712_VERIFYING_CONTRACT"),
  };
}

function nameOf(engine: Engine, external: boolean): string {
  return external ? "TigerBeetle cluster at TIGERBEETLE_ADDRESSES" : engine;
}

/** Replicas are those of a real TigerBeetle. */
function engineOf({ engine, replicas }: DataChoice): Engine | undefined {
  if (replicas === undefined) return engine;
  if (engine === "embedded") {
    throw new Problem("the embedded engine has no replicas: leave out --engine, or --replicas");
  }
  return "tigerbeetle";
}

/** How many replicas a cluster has is written into their files, and never changes. */
function refuseOtherCount(has: number, wanted: number): void {
  if (has === wanted) return;
  throw new Problem(
    `the data here belongs to a cluster of ${has} ${has === 1 ? "replica" : "replicas"}, not of ${wanted}: say --replicas ${has}, or name another folder for other data by MESH_STATE`,
  );
}

function refuseOther(what: string, has: string, wanted: string): void {
  if (has === wanted) return;
  throw new Problem(
    `the data here belongs to the ${what} "${has}", not "${wanted}": keep to it, or name another folder for other data by MESH_STATE`,
  );
}

/** Ledger, records and what the simulator of Stripe knows, with the files that SQLite keeps beside them. */
const dataPattern =
  /^(mesh\.json|postgres(\.new)?|postgres-password|tigerbeetle(-[0-9])?\.(data(\.new)?|formatted)|(ledger|stripe-sim)\.db.*)$/;

/** What --fresh deletes: the names in the state folder. Keys, wallets and logs stay. */
export function dataIn(settings: Settings): readonly string[] {
  if (!existsSync(settings.state)) return [];
  return readdirSync(settings.state).filter((name) => dataPattern.test(name));
}

const deletingFile = (settings: Settings) => join(settings.state, "deleting");
const identityName = "mesh.json";

/**
 * Deletes all data. Cut off by a loss of power it is taken up again by the next start: half of it belongs to nobody.
 * What says whose the data is goes first, so that a copy that somebody has put back since is never taken for that half.
 */
function deleteData(settings: Settings): void {
  const names = dataIn(settings);
  if (names.length === 0) return;
  writeWhole(deletingFile(settings), "");
  rmSync(join(settings.state, identityName), { force: true });
  syncFolder(settings.state);
  for (const name of names) rmSync(join(settings.state, name), { recursive: true, force: true });
  rmSync(deletingFile(settings));
  syncFolder(settings.state);
}

/** Whether the data was being deleted, as somebody had said, when the power was cut. */
function wasCutDeleting(settings: Settings): boolean {
  return existsSync(deletingFile(settings)) && !existsSync(join(settings.state, identityName));
}
