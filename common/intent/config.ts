import { parseWallet } from "#common/address.ts";
import { DomainError } from "#common/domain-error.ts";
import {
  ConfigError,
  type Environment,
  readOptionalString,
  readString,
  readU128,
} from "#common/process/environment.ts";
import { type IntentDomain, intentDomain } from "./digest.ts";
import type { IntentLimits } from "./rules.ts";

/** What every service that judges intents must be told, and be told alike. */
export interface IntentConfig {
  readonly domain: IntentDomain;
  readonly limits: IntentLimits;
  /** Path of the signers file. */
  readonly signersFile: string;
  /** Path of the file of approval policies; undefined: nothing needs approval. */
  readonly approvalsPath: string | undefined;
}

/** Whole units of an asset: a million dollars. */
const unitsMaxDefault = 1_000_000n;

/**
 * Reads SOVR_ENVIRONMENT, TIGERBEETLE_CLUSTER_ID, EIP712_CHAIN_ID, EIP712_VERIFYING_CONTRACT,
 * AMOUNT_MAX_PER_INTENT (whole units of the posting's asset), SIGNERS_FILE and APPROVALS_PATH. Throws ConfigError.
 */
export function intentConfig(env: Environment): IntentConfig {
  return Object.freeze({
    domain: intentDomain({
      environment: readString(env, "SOVR_ENVIRONMENT", "development"),
      clusterId: readU128(env, "TIGERBEETLE_CLUSTER_ID", 0n),
      chainId: readU128(env, "EIP712_CHAIN_ID", 31_337n),
      verifyingContract: readContract(env, "EIP712_VERIFYING_CONTRACT"),
    }),
    limits: { unitsMax: readU128(env, "AMOUNT_MAX_PER_INTENT", unitsMaxDefault) },
    signersFile: readString(env, "SIGNERS_FILE"),
    approvalsPath: readOptionalString(env, "APPROVALS_PATH"),
  });
}

function readContract(env: Environment, name: string): string {
  const text = readString(env, name);
  try {
    return parseWallet(text, name);
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    throw new ConfigError(name, text, "expected an address, 0x and 40 hex digits");
  }
}
