import { randomBytes } from "node:crypto";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { formatWallet, parseWallet } from "#common/address.ts";
import { type Environment, readString, readU128 } from "#common/process/environment.ts";
import { Problem } from "../command/problem.ts";
import type { Engine, Settings } from "./settings.ts";
import { type MeshIdentity, readIdentity, writeIdentity } from "./state.ts";

export interface DataChoice {
  /** Start over: delete ledger and records; keys and wallets stay. */
  readonly fresh: boolean;
  /** What --engine says, if anything. */
  readonly engine: Engine | undefined;
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
  const existing = choice.fresh ? undefined : readIdentity(settings);
  const engine = external ? "tigerbeetle" : (choice.engine ?? existing?.engine ?? "embedded");
  if (existing === undefined) {
    deleteData(settings);
    const identity = newIdentity(settings, environment, engine, external);
    writeIdentity(settings, identity);
    return identity;
  }
  refuseOther("engine", nameOf(existing.engine, existing.external), nameOf(engine, external));
  if (settings.clusterId !== undefined) {
    refuseOther("cluster", existing.clusterId, settings.clusterId.toString());
  }
  refuseOther("environment", existing.environment, settings.environment);
  return existing;
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

function refuseOther(what: string, has: string, wanted: string): void {
  if (has === wanted) return;
  throw new Problem(
    `the data here belongs to the ${what} "${has}", not "${wanted}": keep to it, or delete the data and start over with --fresh`,
  );
}

/** Deletes ledger, records and what the simulator of Stripe knows. Keys, wallets and logs stay. */
function deleteData(settings: Settings): void {
  for (const name of ["mesh.json", "postgres", "postgres-password", "tigerbeetle.data"]) {
    rmSync(join(settings.state, name), { recursive: true, force: true });
  }
  for (const name of readdirSync(settings.state)) {
    // With the files that SQLite keeps beside them.
    if (/^(ledger|stripe-sim)\.db/.test(name)) rmSync(join(settings.state, name), { force: true });
  }
}
