import {
  type Address,
  ConfigError,
  type Environment,
  readAddress,
  readInteger,
  readOneOf,
  readOptionalSecret,
  readOptionalString,
  readOptionalUrl,
  readSecret,
  readString,
} from "#common/process/environment.ts";
import { type LogFormat, type LogLevel, logLevels } from "#common/process/logger.ts";
import { readWire, requirePrivate, type Wire } from "#common/process/tls/config.ts";

export interface StripeSimConfig {
  readonly address: Address;
  /** Of metrics and plain health, which are never encrypted. Undefined: of health alone, at the address above. */
  readonly metrics: Address | undefined;
  /** How it speaks with the mesh. */
  readonly wire: Wire;
  /** SOVR_ENVIRONMENT. */
  readonly environment: string;
  /** The SQLite file that holds everything. Empty: memory alone, gone at the end. */
  readonly path: string;
  /** The API keys that it takes, secret and publishable; there are no others. */
  readonly keys: readonly string[];
  /** The endpoint that gets every event. Undefined: none but those made by the API. */
  readonly webhook: WebhookConfig | undefined;
  /** The wait before a failed delivery is tried again; it doubles from try to try. */
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
  /** Tries of one delivery before it is given up. */
  readonly attemptsMax: number;
  /** From the creation of a refund that ends later to its end. */
  readonly settleMs: number;
  /** Objects kept in all; more are refused. */
  readonly objectsMax: number;
  readonly drainGraceMs: number;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

export interface WebhookConfig {
  readonly url: string;
  /** Secrets. Each signs every delivery, as Stripe does while one is rotated. */
  readonly secrets: readonly string[];
}

/** The simulator's configuration. Pure. Throws ConfigError, which names the variable and its value unless that is secret. */
export function stripeSimConfig(env: Environment): StripeSimConfig {
  const environment = readString(env, "SOVR_ENVIRONMENT", "development");
  if (/^prod/i.test(environment)) {
    throw new ConfigError(
      "SOVR_ENVIRONMENT",
      environment,
      "this is a simulator of Stripe, in which no money moves; no production has it",
    );
  }
  const milliseconds = { min: 1, max: 3_600_000 };
  const address = readAddress(env, "STRIPE_SIM_ADDRESS", "127.0.0.1:5400");
  return Object.freeze({
    address,
    metrics:
      readOptionalString(env, "METRICS_ADDRESS") === undefined
        ? undefined
        : readAddress(env, "METRICS_ADDRESS"),
    wire: readWire(env, { STRIPE_SIM_ADDRESS: address }),
    environment,
    path: readString(env, "STRIPE_SIM_PATH", ""),
    keys: [
      ...readKeys(env, "STRIPE_SECRET_KEY", /^[sr]k_test_\w{1,200}$/),
      ...readKeys(env, "STRIPE_PUBLISHABLE_KEY", /^pk_test_\w{1,200}$/),
    ],
    webhook: readWebhook(env),
    retryFirstMs: readInteger(env, "STRIPE_SIM_RETRY_FIRST_MS", {
      ...milliseconds,
      fallback: 1_000,
    }),
    retryMaxMs: readInteger(env, "STRIPE_SIM_RETRY_MAX_MS", { ...milliseconds, fallback: 60_000 }),
    attemptsMax: readInteger(env, "STRIPE_SIM_ATTEMPTS_MAX", { min: 1, max: 1_000, fallback: 30 }),
    settleMs: readInteger(env, "STRIPE_SIM_SETTLE_MS", { ...milliseconds, fallback: 1_000 }),
    objectsMax: readInteger(env, "STRIPE_SIM_OBJECTS_MAX", {
      min: 1,
      max: 100_000_000,
      fallback: 1_000_000,
    }),
    drainGraceMs: readInteger(env, "DRAIN_GRACE_MS", { min: 0, max: 3_600_000, fallback: 10_000 }),
    logLevel: readOneOf(env, "LOG_LEVEL", logLevels, "info"),
    logFormat: readOneOf(env, "LOG_FORMAT", ["json", "human", "auto"], "auto"),
  });
}

/** The keys of a variable, or of the file that it names: several by comma. */
function readKeys(env: Environment, name: string, form: RegExp): readonly string[] {
  const keys = readSecret(env, name).split(",");
  if (keys.every((key) => form.test(key))) return keys;
  throw new ConfigError(name, "(hidden)", "expected keys for tests, sk_test_… and pk_test_…");
}

function readWebhook(env: Environment): WebhookConfig | undefined {
  const url = readOptionalUrl(env, "STRIPE_SIM_WEBHOOK_URL");
  if (url === undefined) return undefined;
  const secrets = (readOptionalSecret(env, "STRIPE_WEBHOOK_SECRET") ?? "")
    .split(",")
    .map((secret) => secret.trim())
    .filter((secret) => secret !== "");
  if (secrets.length === 0) {
    throw new ConfigError(
      "STRIPE_WEBHOOK_SECRET",
      undefined,
      "STRIPE_SIM_WEBHOOK_URL is set, and what is sent there must be signed",
    );
  }
  if (url.protocol === "http:") requirePrivate(env, { STRIPE_SIM_WEBHOOK_URL: url.hostname });
  return Object.freeze({ url: url.href, secrets });
}
