import { type Environment, readSecret } from "#common/process/environment.ts";
import { type RuntimeConfig, runtimeConfig } from "#common/rpc/runtime-config.ts";
import { engineConfig, ledgerSilenceMs } from "#common/tigerbeetle/engine-config.ts";
import type { EngineConfig } from "#common/tigerbeetle/open-client.ts";

export interface LedgerConfig {
  readonly runtime: RuntimeConfig;
  readonly engine: EngineConfig;
  /** How long the ledger may answer nothing before calls that would ask it are refused, in milliseconds. */
  readonly ledgerSilenceMs: number;
  readonly databaseUrl: string;
}

/** The Ledger's configuration. Throws ConfigError, which names the variable and its value unless that is secret. */
export function ledgerConfig(env: Environment): LedgerConfig {
  return Object.freeze({
    runtime: runtimeConfig("ledger", env),
    engine: engineConfig(env),
    ledgerSilenceMs: ledgerSilenceMs(env),
    databaseUrl: readSecret(env, "DATABASE_URL"),
  });
}
