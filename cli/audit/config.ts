import { readFileSync } from "node:fs";
import { intentConfig } from "#common/intent/config.ts";
import type { IntentDomain } from "#common/intent/digest.ts";
import { parseSigners, type Signers } from "#common/intent/signers.ts";
import { ConfigError, type Environment, readSecret } from "#common/process/environment.ts";
import { engineConfig } from "#common/tigerbeetle/engine-config.ts";
import type { EngineConfig } from "#common/tigerbeetle/open-client.ts";
import { recordsEnvironment } from "../parts/records-environment.ts";
import { keyFiles } from "../state/keys.ts";
import { readSettings } from "../state/settings.ts";
import { requireMesh, settingsOf } from "../state/state.ts";
import { namesDatabase } from "../supervisor/with-records.ts";

/** What an audit must know: where ledger and records are, and whose signatures count. */
export interface AuditConfig {
  readonly engine: EngineConfig;
  readonly databaseUrl: string;
  readonly domain: IntentDomain;
  readonly signers: Signers;
}

/**
 * The mesh that the environment describes in the words of the services, if it names a database; otherwise the one that
 * runs here. Throws ConfigError; a Problem if no mesh runs.
 */
export function auditConfig(environment: Environment): AuditConfig {
  const env = namesDatabase(environment) ? environment : runningMesh(environment);
  const { domain, signersFile } = intentConfig(env);
  return Object.freeze({
    engine: engineConfig(env),
    databaseUrl: readSecret(env, "DATABASE_URL"),
    domain,
    signers: readSigners(signersFile),
  });
}

function runningMesh(environment: Environment): Environment {
  const settings = readSettings(environment);
  const { state, identity } = requireMesh(settings);
  return recordsEnvironment(settingsOf(settings, state), identity, keyFiles(settings));
}

function readSigners(path: string): Signers {
  try {
    return parseSigners(readFileSync(path, "utf8"));
  } catch (error) {
    throw new ConfigError("SIGNERS_FILE", path, (error as Error).message);
  }
}
