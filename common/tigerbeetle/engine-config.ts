import {
  ConfigError,
  type Environment,
  readInteger,
  readOptionalString,
  readU128,
} from "#common/process/environment.ts";
import type { EngineConfig } from "./open-client.ts";

/** The most events that TigerBeetle takes in one request. */
const batchMaxDefault = 8_189;

/**
 * Reads which engine to open: exactly one of TIGERBEETLE_ADDRESSES (host:port, comma-separated) and
 * EMBEDDED_LEDGER_PATH. Throws ConfigError.
 */
export function engineConfig(env: Environment): EngineConfig {
  const addresses = readOptionalString(env, "TIGERBEETLE_ADDRESSES");
  const path = readOptionalString(env, "EMBEDDED_LEDGER_PATH");
  const clusterId = readU128(env, "TIGERBEETLE_CLUSTER_ID", 0n);
  const batchMax = readInteger(env, "TIGERBEETLE_BATCH_MAX", {
    min: 64,
    max: batchMaxDefault,
    fallback: batchMaxDefault,
  });
  if (addresses !== undefined && path !== undefined) {
    throw new ConfigError(
      "EMBEDDED_LEDGER_PATH",
      path,
      "TIGERBEETLE_ADDRESSES is set as well; give only one of them",
    );
  }
  if (addresses !== undefined) {
    return {
      clusterId,
      batchMax,
      engine: { kind: "tigerbeetle", addresses: addressList(addresses) },
    };
  }
  if (path !== undefined) return { clusterId, batchMax, engine: { kind: "embedded", path } };
  throw new ConfigError(
    "TIGERBEETLE_ADDRESSES",
    undefined,
    "name the cluster's replicas, or a file for the embedded engine in EMBEDDED_LEDGER_PATH",
  );
}

/**
 * Reads how long the ledger may answer nothing before calls that would ask it are refused, in milliseconds. A change of
 * the cluster's primary is such a silence.
 */
export function ledgerSilenceMs(env: Environment): number {
  return readInteger(env, "LEDGER_SILENCE_MS", { min: 250, max: 600_000, fallback: 2_000 });
}

function addressList(text: string): string[] {
  const addresses = text.split(",").map((address) => address.trim());
  for (const address of addresses) {
    if (/^[A-Za-z0-9.-]+(:[0-9]{1,5})?$/.test(address)) continue;
    throw new ConfigError("TIGERBEETLE_ADDRESSES", text, "expected host:port, comma-separated");
  }
  return addresses;
}
