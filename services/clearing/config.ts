import { type IntentConfig, intentConfig } from "#common/intent/config.ts";
import { type Environment, readSecret } from "#common/process/environment.ts";
import { type RuntimeConfig, runtimeConfig } from "#common/rpc/runtime-config.ts";
import { engineConfig, ledgerSilenceMs } from "#common/tigerbeetle/engine-config.ts";
import type { EngineConfig } from "#common/tigerbeetle/open-client.ts";

export interface ClearingConfig extends IntentConfig {
  readonly runtime: RuntimeConfig;
  readonly engine: EngineConfig;
  /** How long the ledger may answer nothing before calls that would ask it are refused, in milliseconds. */
  readonly ledgerSilenceMs: number;
  readonly databaseUrl: string;
}

/** Clearing's configuration. Throws ConfigError, which names the variable and its value unless that is secret. */
export function clearingConfig(env: Environment): ClearingConfig {
  return Object.freeze({
    runtime: runtimeConfig("clearing", env),
    engine: engineConfig(env),
    ledgerSilenceMs: ledgerSilenceMs(env),
    ...intentConfig(env),
    databaseUrl: readSecret(env, "DATABASE_URL"),
  });
}
