import {
  type Address,
  ConfigError,
  type Environment,
  readAddress,
  readInteger,
  readOneOf,
  readOptionalSecret,
  readString,
} from "#common/process/environment.ts";
import { type LogFormat, type LogLevel, logLevels } from "#common/process/logger.ts";
import { readWire, type Wire } from "#common/process/tls/config.ts";
import { type IssuerKey, parseIssuerKey } from "./issuer-key.ts";
import { readSignIn, type SignInConfig } from "./sign-in/config.ts";

export interface StudioConfig {
  /** Where the files are served to Envoy: HTTP/1.1. */
  readonly connect: Address;
  readonly metrics: Address;
  /** How it speaks with Envoy, and with whom its faucet calls. */
  readonly wire: Wire;
  /** SOVR_ENVIRONMENT. */
  readonly environment: string;
  /** From the signal to stop until connections are refused. */
  readonly drainDelayMs: number;
  /** From then until what still runs is cut off. */
  readonly drainGraceMs: number;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** With what a browser pays by card. Undefined: it cannot. */
  readonly stripe: StudioStripe | undefined;
  /** What /dev/ needs. Undefined: there is no /dev/, as everywhere but in development. */
  readonly development: DevelopmentConfig | undefined;
  /** What it takes to sign in. Undefined: nobody can. */
  readonly signIn: SignInConfig | undefined;
}

/** What a browser is told of Stripe. */
export interface StudioStripe {
  /** pk_…, which is no secret. */
  readonly publishableKey: string;
  /** True: the key is of the mesh's own simulator, behind Envoy at /stripe-sim/. */
  readonly simulated: boolean;
}

/** A mesh that lets anybody in and gives away play money. */
export interface DevelopmentConfig {
  /** The private key of the token issuer, Ed25519. */
  readonly issuerKey: IssuerKey;
  readonly issuer: string;
  readonly audience: string;
  /** Where the faucet has its intents attested and cleared, host:port. */
  readonly attestorAddress: string;
  readonly clearingAddress: string;
}

/** Studio's configuration. Pure. Throws ConfigError, which names the variable and its value unless that is secret. */
export function studioConfig(env: Environment): StudioConfig {
  const milliseconds = { min: 0, max: 3_600_000 };
  const connect = readAddress(env, "CONNECT_ADDRESS", "127.0.0.1:5206");
  const development = readDevelopment(env);
  const peers = development && {
    ATTESTOR_ADDRESS: development.attestorAddress,
    CLEARING_ADDRESS: development.clearingAddress,
  };
  return Object.freeze({
    connect,
    metrics: readAddress(env, "METRICS_ADDRESS", "127.0.0.1:5306"),
    wire: readWire(env, { CONNECT_ADDRESS: connect, ...peers }),
    environment: readString(env, "SOVR_ENVIRONMENT", "development"),
    drainDelayMs: readInteger(env, "DRAIN_DELAY_MS", { ...milliseconds, fallback: 0 }),
    drainGraceMs: readInteger(env, "DRAIN_GRACE_MS", { ...milliseconds, fallback: 10_000 }),
    logLevel: readOneOf(env, "LOG_LEVEL", logLevels, "info"),
    logFormat: readOneOf(env, "LOG_FORMAT", ["json", "human", "auto"], "auto"),
    stripe: readStripe(env),
    development,
    signIn: readSignIn(env),
  });
}

/** STRIPE_PUBLISHABLE_KEY, or the file that STRIPE_PUBLISHABLE_KEY_FILE names. */
function readStripe(env: Environment): StudioStripe | undefined {
  const key = readOptionalSecret(env, "STRIPE_PUBLISHABLE_KEY");
  if (key === undefined) return undefined;
  if (!/^pk_(test|live)_\w{1,255}$/.test(key)) {
    // Not shown: where this one is expected, a secret key is pasted sooner or later.
    throw new ConfigError("STRIPE_PUBLISHABLE_KEY", "(hidden)", "expected pk_test_… or pk_live_…");
  }
  // Keys that a mesh makes for its simulator carry that name, and Stripe's never do.
  return Object.freeze({ publishableKey: key, simulated: key.startsWith("pk_test_simulator_") });
}

function readDevelopment(env: Environment): DevelopmentConfig | undefined {
  const key = readOptionalSecret(env, "DEVELOPMENT_ISSUER_KEY");
  if (key === undefined) return undefined;
  const environment = readString(env, "SOVR_ENVIRONMENT", "development");
  if (/^prod/i.test(environment)) {
    throw new ConfigError(
      "SOVR_ENVIRONMENT",
      environment,
      "DEVELOPMENT_ISSUER_KEY is set, which gives everybody tokens and money; no production has it",
    );
  }
  return Object.freeze({
    issuerKey: parseIssuerKey("DEVELOPMENT_ISSUER_KEY", key),
    issuer: readString(env, "JWT_ISSUER", "sovr"),
    audience: readString(env, "JWT_AUDIENCE", "sovr-mesh"),
    attestorAddress: readString(env, "ATTESTOR_ADDRESS", "127.0.0.1:5103"),
    clearingAddress: readString(env, "CLEARING_ADDRESS", "127.0.0.1:5102"),
  });
}
