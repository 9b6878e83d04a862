import { join } from "node:path";
import type { Environment } from "#common/process/environment.ts";
import type { KeyFiles } from "../state/keys.ts";
import type { Settings } from "../state/settings.ts";
import type { MeshIdentity } from "../state/state.ts";
import { replicaAddresses, replicasOf } from "./replicas.ts";
import { developmentBatchMax } from "./tigerbeetle.ts";

/**
 * Where a mesh of this machine keeps ledger and evidence, and whose signatures it trusts, in the services' words.
 * `databaseUrlFile`: as whom they are read; by default as their owner.
 */
export function recordsEnvironment(
  settings: Settings,
  identity: MeshIdentity,
  keys: KeyFiles,
  databaseUrlFile = keys.databaseUrl,
): Environment {
  return {
    SOVR_ENVIRONMENT: identity.environment,
    DATABASE_URL_FILE: databaseUrlFile,
    SIGNERS_FILE: keys.signers,
    EIP712_CHAIN_ID: identity.chainId,
    EIP712_VERIFYING_CONTRACT: identity.verifyingContract,
    TIGERBEETLE_CLUSTER_ID: identity.clusterId,
    ...engineEnvironment(settings, identity),
  };
}

function engineEnvironment(settings: Settings, identity: MeshIdentity): Environment {
  if (identity.engine === "embedded") {
    return { EMBEDDED_LEDGER_PATH: join(settings.state, "ledger.db") };
  }
  if (identity.external) return { TIGERBEETLE_ADDRESSES: settings.tigerbeetleAddresses };
  return {
    TIGERBEETLE_ADDRESSES: replicaAddresses(settings, replicasOf(settings, identity)),
    TIGERBEETLE_BATCH_MAX: String(developmentBatchMax),
  };
}
