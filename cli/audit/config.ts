import { readFileSync } from "node:fs";
import { readPoliciesFile } from "#common/approval/policies-file.ts";
import type { Policies } from "#common/approval/policy.ts";
import { intentConfig } from "#common/intent/config.ts";
import type { IntentDomain } from "#common/intent/digest.ts";
import { parseSigners, type Signers } from "#common/intent/signers.ts";
import { ConfigError, type Environment, readSecret } from "#common/process/environment.ts";
import { engineConfig } from "#common/tigerbeetle/engine-config.ts";
import type { EngineConfig } from "#common/tigerbeetle/open-client.ts";

/** What an audit must know: where ledger and records are, and whose signatures count. */
export interface AuditConfig {
  readonly engine: EngineConfig;
  readonly databaseUrl: string;
  readonly domain: IntentDomain;
  readonly signers: Signers;
  /** What needed approval, from when on. */
  readonly policies: Policies;
}

/** The ledger, the records and the signers that the environment names, in the words of the services. Throws ConfigError. */
export function auditConfig(environment: Environment): AuditConfig {
  const { domain, signersFile, approvalsPath } = intentConfig(environment);
  return Object.freeze({
    engine: engineConfig(environment),
    databaseUrl: readSecret(environment, "DATABASE_URL"),
    domain,
    signers: readSigners(signersFile),
    policies: readPoliciesFile(approvalsPath),
  });
}

function readSigners(path: string): Signers {
  try {
    return parseSigners(readFileSync(path, "utf8"));
  } catch (error) {
    throw new ConfigError("SIGNERS_FILE", path, (error as Error).message);
  }
}
