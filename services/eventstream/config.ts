import { type Environment, readInteger, readSecret } from "#common/process/environment.ts";
import { type RuntimeConfig, runtimeConfig } from "#common/rpc/runtime-config.ts";
import { engineConfig, ledgerSilenceMs } from "#common/tigerbeetle/engine-config.ts";
import type { EngineConfig } from "#common/tigerbeetle/open-client.ts";
import { defaultLimits } from "./serve/event-stream.ts";

export interface EventStreamConfig {
  readonly runtime: RuntimeConfig;
  readonly engine: EngineConfig;
  /** How long the ledger may answer nothing before calls that would ask it are refused, in milliseconds. */
  readonly ledgerSilenceMs: number;
  readonly databaseUrl: string;
  /** The most streams at once; one more is refused with LIMIT_EXCEEDED. */
  readonly subscribersMax: number;
}

/** EventStream's configuration. Throws ConfigError, which names the variable and its value unless that is secret. */
export function eventStreamConfig(env: Environment): EventStreamConfig {
  return Object.freeze({
    runtime: runtimeConfig("eventstream", env),
    engine: engineConfig(env),
    ledgerSilenceMs: ledgerSilenceMs(env),
    databaseUrl: readSecret(env, "DATABASE_URL"),
    subscribersMax: readInteger(env, "SUBSCRIBERS_MAX", {
      min: 1,
      max: 100_000,
      fallback: defaultLimits.subscribersMax,
    }),
  });
}
