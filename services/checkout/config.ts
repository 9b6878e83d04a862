import { findChartAccount } from "#common/ledger/chart.ts";
import {
  ConfigError,
  type Environment,
  readInteger,
  readOptionalSecret,
  readOptionalUrl,
  readSecret,
  readString,
  readU128,
} from "#common/process/environment.ts";
import { requirePrivate } from "#common/process/tls/config.ts";
import { type RuntimeConfig, runtimeConfig } from "#common/rpc/runtime-config.ts";
import { usd } from "./order/products.ts";

export interface CheckoutConfig {
  readonly runtime: RuntimeConfig;
  readonly databaseUrl: string;
  /** host:port or a gRPC target. */
  readonly attestorAddress: string;
  readonly clearingAddress: string;
  /** The key with which Checkout signs its own tokens: a private JWK. Secret. */
  readonly credentialKey: string;
  /** Undefined: no card can be charged, and CARD is PAYMENT_METHOD_UNAVAILABLE. */
  readonly stripe: StripeConfig | undefined;
  /** How long a shopper has to pay. */
  readonly lifetimeMs: number;
  /** The most checkouts of a wallet that are open at once. */
  readonly openPerWallet: number;
  /** The most that a wallet makes in a minute. */
  readonly checkoutsPerWalletAndMinute: number;
  /** The account that fulfilled goods are owed to. */
  readonly honoringAgentId: bigint;
}

export interface StripeConfig {
  /** Secret. */
  readonly secretKey: string;
  /** Secrets, newest first; while they rotate, more than one. */
  readonly webhookSecrets: readonly string[];
  /** Where the API is; undefined: at Stripe. By https in a mesh with certificates, it is the mesh's own simulator. */
  readonly apiUrl: URL | undefined;
}

/** Checkout's configuration. Throws ConfigError, which names the variable and its value unless that is secret. */
export function checkoutConfig(env: Environment): CheckoutConfig {
  const attestorAddress = readString(env, "ATTESTOR_ADDRESS", "127.0.0.1:5103");
  const clearingAddress = readString(env, "CLEARING_ADDRESS", "127.0.0.1:5102");
  return Object.freeze({
    runtime: runtimeConfig("checkout", env, {
      ATTESTOR_ADDRESS: attestorAddress,
      CLEARING_ADDRESS: clearingAddress,
    }),
    databaseUrl: readSecret(env, "DATABASE_URL"),
    attestorAddress,
    clearingAddress,
    credentialKey: readSecret(env, "CHECKOUT_CREDENTIAL_KEY"),
    stripe: readStripe(env),
    lifetimeMs:
      readInteger(env, "CHECKOUT_LIFETIME_SECONDS", { min: 1, max: 43_200, fallback: 1_800 }) *
      1_000,
    openPerWallet: readInteger(env, "OPEN_CHECKOUTS_PER_WALLET", {
      min: 1,
      max: 10_000,
      fallback: 20,
    }),
    checkoutsPerWalletAndMinute: readInteger(env, "CHECKOUTS_PER_WALLET_AND_MINUTE", {
      min: 1,
      max: 1_000_000,
      fallback: 120,
    }),
    honoringAgentId: readAgent(env),
  });
}

/** More secrets than rotations overlap are a mistake. */
const webhookSecretsMax = 8;

/** STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET (several with commas between) and STRIPE_API_URL, or none of them. */
function readStripe(env: Environment): StripeConfig | undefined {
  const secretKey = readOptionalSecret(env, "STRIPE_SECRET_KEY");
  if (secretKey === undefined) return undefined;
  if (!/^(sk|rk)_(test|live)_\w{1,255}$/.test(secretKey)) {
    throw new ConfigError(
      "STRIPE_SECRET_KEY",
      "(hidden)",
      "expected sk_test_…, sk_live_… or a restricted key",
    );
  }
  const webhookSecrets = readSecret(env, "STRIPE_WEBHOOK_SECRET").split(",");
  if (
    webhookSecrets.length > webhookSecretsMax ||
    webhookSecrets.some((secret) => !/^whsec_[\w+/=]{8,255}$/.test(secret))
  ) {
    throw new ConfigError(
      "STRIPE_WEBHOOK_SECRET",
      "(hidden)",
      `expected 1 to ${webhookSecretsMax} secrets whsec_…, with commas between`,
    );
  }
  const apiUrl = readOptionalUrl(env, "STRIPE_API_URL");
  if (apiUrl !== undefined && apiUrl.pathname !== "/") {
    throw new ConfigError(
      "STRIPE_API_URL",
      apiUrl.href,
      "expected no path: the API is at the root",
    );
  }
  if (apiUrl !== undefined && /^(sk|rk)_live_/.test(secretKey)) {
    throw new ConfigError(
      "STRIPE_API_URL",
      apiUrl.href,
      "a live key is sent to Stripe and nowhere else",
    );
  }
  if (apiUrl?.protocol === "http:") requirePrivate(env, { STRIPE_API_URL: apiUrl.hostname });
  return Object.freeze({ secretKey, webhookSecrets, apiUrl });
}

/** INSTACART_CLEARING, as the guide names it. */
const agentDefault = 3_000_002n;

function readAgent(env: Environment): bigint {
  const id = readU128(env, "CHECKOUT_HONORING_AGENT", agentDefault);
  const account = findChartAccount(id);
  if (account?.class === "AGENT" && account.ledger === usd && account.name !== "STRIPE_SETTLEMENT")
    return id;
  throw new ConfigError(
    "CHECKOUT_HONORING_AGENT",
    id.toString(),
    "expected an AGENT of the chart of accounts other than STRIPE_SETTLEMENT",
  );
}
