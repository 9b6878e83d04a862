import {
  type Address,
  ConfigError,
  type Environment,
  readAddress,
  readInteger,
  readOneOf,
  readOptionalString,
  readOptionalUrl,
  readString,
} from "#common/process/environment.ts";
import { type LogFormat, type LogLevel, logLevels } from "#common/process/logger.ts";
import { readWire, type Wire } from "#common/process/tls/config.ts";
import { defaultPorts, type ServiceName } from "#common/service-names.ts";
import { runtimeLimits } from "./limits/runtime-limits.ts";

/** Where the public keys of the token issuer come from. */
export type KeySource =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "url"; readonly url: URL };

export interface AuthConfig {
  readonly jwks: KeySource;
  /** The `iss` that tokens must carry. */
  readonly issuer: string;
  /** The `aud` that tokens must carry. */
  readonly audience: string;
}

/** What every service's runtime is told. */
export interface RuntimeConfig {
  readonly name: ServiceName;
  /** Such as `development`; goes into the EIP-712 salt and into log lines. */
  readonly environment: string;
  readonly grpc: Address;
  readonly connect: Address;
  /** Metrics and plain health, for whoever watches: never encrypted. */
  readonly metrics: Address;
  /** How it speaks with the other parts of the mesh. */
  readonly wire: Wire;
  readonly auth: AuthConfig;
  /** From the signal to stop until streams are closed and new calls refused: time for load balancers to notice. */
  readonly drainDelayMs: number;
  /** From then until what still runs is cut off. */
  readonly drainGraceMs: number;
  /** How long a unary call may take whose caller set no deadline. */
  readonly unaryTimeoutMs: number;
  /** When a stream must have ended itself with `closing`, counted from its start. Connections live longer than this. */
  readonly streamAgeMsMax: number;
  /** A stream whose client takes nothing for this long is ended with SLOW_CONSUMER. */
  readonly streamStallMs: number;
  /** The most streams of one subject in this process; one more is refused with LIMIT_EXCEEDED. */
  readonly streamsPerSubjectMax: number;
  /** The oldest last success of a dependency with which the service still calls itself ready. */
  readonly dependencyAgeMsMax: number;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

/**
 * The runtime's configuration of one service. Pure. `peers`: whom it calls, by variable. Throws ConfigError, which names
 * the variable and its value.
 */
export function runtimeConfig(
  name: ServiceName,
  env: Environment,
  peers: Readonly<Record<string, string>> = {},
): RuntimeConfig {
  const ports = defaultPorts(name);
  const grpc = readAddress(env, "GRPC_ADDRESS", `127.0.0.1:${ports.grpc}`);
  const connect = readAddress(env, "CONNECT_ADDRESS", `127.0.0.1:${ports.connect}`);
  const milliseconds = { min: 0, max: 3_600_000 };
  return Object.freeze({
    name,
    environment: readString(env, "SOVR_ENVIRONMENT", "development"),
    grpc,
    connect,
    metrics: readAddress(env, "METRICS_ADDRESS", `127.0.0.1:${ports.metrics}`),
    wire: readWire(env, { GRPC_ADDRESS: grpc, CONNECT_ADDRESS: connect, ...peers }),
    auth: Object.freeze({
      jwks: keySource(env),
      issuer: readString(env, "JWT_ISSUER", "sovr"),
      audience: readString(env, "JWT_AUDIENCE", "sovr-mesh"),
    }),
    drainDelayMs: readInteger(env, "DRAIN_DELAY_MS", { ...milliseconds, fallback: 0 }),
    drainGraceMs: readInteger(env, "DRAIN_GRACE_MS", { ...milliseconds, fallback: 10_000 }),
    unaryTimeoutMs: 10_000,
    streamAgeMsMax: 30 * 60_000,
    streamStallMs: 30_000,
    streamsPerSubjectMax: readInteger(env, "STREAMS_PER_SUBJECT_MAX", {
      min: 1,
      max: 100_000,
      fallback: runtimeLimits.streamsOfSubject,
    }),
    dependencyAgeMsMax: 10_000,
    logLevel: readOneOf(env, "LOG_LEVEL", logLevels, "info"),
    logFormat: readOneOf(env, "LOG_FORMAT", ["json", "human", "auto"], "auto"),
  });
}

function keySource(env: Environment): KeySource {
  const path = readOptionalString(env, "JWT_JWKS_FILE");
  const url = readOptionalUrl(env, "JWT_JWKS_URL");
  if (path !== undefined && url !== undefined) {
    throw new ConfigError(
      "JWT_JWKS_URL",
      url.href,
      "JWT_JWKS_FILE is set as well; give only one of them",
    );
  }
  if (path !== undefined) return { kind: "file", path };
  if (url !== undefined) return { kind: "url", url };
  throw new ConfigError(
    "JWT_JWKS_FILE",
    undefined,
    "name the file with the issuer's public keys, or give JWT_JWKS_URL",
  );
}
