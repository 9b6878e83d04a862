import { existsSync } from "node:fs";
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
    APPROVALS_PATH: policyPath(settings),
    EIP712_CHAIN_ID: identity.chainId,
    EIP712_VERIFYING_CONTRACT: identity.verifyingContract,
    TIGERBEETLE_CLUSTER_ID: identity.clusterId,
    ...engineEnvironment(settings, identity),
  };
}

/** A mesh that an older version has made has no policy yet; one that somebody names must be there. */
function policyPath({ state, approvalsPath }: Settings): string {
  const isOwn = approvalsPath === join(state, "approvals.yaml");
  return isOwn && !existsSync(approvalsPath) ? "" : approvalsPath;
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
