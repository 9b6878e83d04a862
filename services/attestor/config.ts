import { type IntentConfig, intentConfig } from "#common/intent/config.ts";
import { type Environment, readInteger, readSecret } from "#common/process/environment.ts";
import { type RuntimeConfig, runtimeConfig } from "#common/rpc/runtime-config.ts";
import type { OpenedKeys } from "./drivers/open-keys.ts";
import { signingConfig } from "./drivers/signing-config.ts";

export interface AttestorConfig extends IntentConfig {
  readonly runtime: RuntimeConfig;
  readonly databaseUrl: string;
  /** As openKeys, of the places that the environment names. */
  readonly openKeys: (signal: AbortSignal) => Promise<OpenedKeys>;
  readonly intentsPerWalletAndMinute: number;
  /** The most signatures of one signer in a minute. */
  readonly signaturesPerMinute: number;
}

/** The Attestor's configuration. Throws ConfigError, which names the variable and its value unless that is secret. */
export function attestorConfig(env: Environment): AttestorConfig {
  return Object.freeze({
    runtime: runtimeConfig("attestor", env),
    ...intentConfig(env),
    databaseUrl: readSecret(env, "DATABASE_URL"),
    openKeys: signingConfig(env),
    intentsPerWalletAndMinute: readInteger(env, "INTENTS_PER_WALLET_AND_MINUTE", {
      min: 1,
      max: 1_000_000,
      fallback: 600,
    }),
    signaturesPerMinute: readInteger(env, "SIGNATURES_PER_MINUTE", {
      min: 1,
      max: 100_000_000,
      fallback: 600_000,
    }),
  });
}
