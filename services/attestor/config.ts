import { type IntentConfig, intentConfig } from "#common/intent/config.ts";
import {
  ConfigError,
  type Environment,
  readInteger,
  readSecret,
} from "#common/process/environment.ts";
import { type RuntimeConfig, runtimeConfig } from "#common/rpc/runtime-config.ts";
import type { SigningKeys } from "./attestation.ts";
import { createSigningKeys } from "./drivers/signer.ts";

export interface AttestorConfig extends IntentConfig {
  readonly runtime: RuntimeConfig;
  readonly databaseUrl: string;
  readonly keys: SigningKeys;
  readonly intentsPerWalletAndMinute: number;
}

/** The Attestor's configuration. Throws ConfigError, which names the variable and its value unless that is secret. */
export function attestorConfig(env: Environment): AttestorConfig {
  return Object.freeze({
    runtime: runtimeConfig("attestor", env),
    ...intentConfig(env),
    databaseUrl: readSecret(env, "DATABASE_URL"),
    keys: readKeys(env, "ATTESTOR_PRIVATE_KEY"),
    intentsPerWalletAndMinute: readInteger(env, "INTENTS_PER_WALLET_AND_MINUTE", {
      min: 1,
      max: 1_000_000,
      fallback: 600,
    }),
  });
}

/** More keys than rotations overlap are a mistake. */
const keysMax = 16;

/** One private key or, while signers rotate, several with commas between. */
function readKeys(env: Environment, name: string): SigningKeys {
  const texts = readSecret(env, name).split(",");
  const expected = `expected 1 to ${keysMax} secp256k1 private keys, 64 hex digits each, with commas between`;
  if (texts.length > keysMax) throw new ConfigError(name, "(hidden)", expected);
  try {
    return createSigningKeys(texts.map(parseKey));
  } catch {
    // The cause would show a part of the key.
    throw new ConfigError(name, "(hidden)", expected);
  }
}

function parseKey(text: string): Uint8Array {
  const digits = text.trim().replace(/^0x/, "");
  if (!/^[0-9a-fA-F]{64}$/.test(digits)) throw new RangeError("not 64 hex digits");
  return Buffer.from(digits, "hex");
}
