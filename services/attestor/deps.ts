import { intentDigester } from "#common/intent/digest.ts";
import { countSignatureChecks } from "#common/intent/signature-metrics.ts";
import { type Signers, signerAt } from "#common/intent/signers.ts";
import { openSignersFile } from "#common/intent/signers-file.ts";
import { migrateAtStart } from "#common/postgres/migrate.ts";
import { createPool, probePostgres } from "#common/postgres/pool.ts";
import { ConfigError } from "#common/process/environment.ts";
import { createLogger, type Logger } from "#common/process/logger.ts";
import { createRateLimit } from "#common/rate-limit.ts";
import { type Dependency, watchDependency } from "#common/rpc/health.ts";
import type { SigningKeys } from "./attestation.ts";
import { type Attestor, createAttestor } from "./attestation.ts";
import type { AttestorConfig } from "./config.ts";
import { createRelatedEvidence, createSignOnceStore, migrations } from "./drivers/postgres.ts";

/** What the service is made of. */
export interface AttestorDeps {
  readonly config: AttestorConfig;
  readonly attestor: Attestor;
  readonly signers: () => Signers;
  /** Unix seconds. */
  readonly nowSeconds: () => bigint;
  readonly logger: Logger;
  readonly dependencies: readonly Dependency[];
  readonly close: () => Promise<void>;
}

/** Every statement touches a few hundred rows by their key; one that takes this long is stuck. */
const statementTimeoutMs = 5_000;

/** What tests put in place of the real thing. */
export interface AttestorOverrides {
  /** Epoch milliseconds. */
  readonly nowMs?: () => number;
  readonly logger?: Logger;
}

/**
 * Opens what the Attestor needs and creates its tables. Throws ConfigError if the signers file cannot be read, the
 * active signer's key is not here, or PostgreSQL does not answer within half a minute.
 */
export async function createAttestorDeps(
  config: AttestorConfig,
  overrides: AttestorOverrides = {},
): Promise<AttestorDeps> {
  const { runtime } = config;
  const logger =
    overrides.logger ?? createLogger(runtime.name, runtime.logLevel, { format: runtime.logFormat });
  const nowMs = overrides.nowMs ?? Date.now;
  const nowSeconds = () => BigInt(Math.floor(nowMs() / 1000));
  const signersFile = openSignersFile(config.signersFile, (error, message) =>
    logger.error({ err: error }, message),
  );
  const pool = createPool({
    databaseUrl: config.databaseUrl,
    applicationName: "sovr-attestor",
    role: "sovr_attestor",
    statementTimeoutMs,
  });
  const close = async () => {
    signersFile.close();
    await pool.end();
  };
  try {
    requireActiveKey(config.keys, signersFile.current(), nowSeconds());
    await migrateAtStart(config.databaseUrl, "attestor", migrations, (details, message) =>
      logger.info(details, message),
    );
  } catch (error) {
    await close();
    throw error;
  }
  const attestor = createAttestor({
    digestIntent: intentDigester(config.domain),
    store: createSignOnceStore(pool),
    evidence: createRelatedEvidence(pool),
    keys: config.keys,
    recover: countSignatureChecks().recover,
    signers: signersFile.current,
    nowSeconds,
    limits: config.limits,
    rate: createRateLimit({
      what: "intents per wallet and minute",
      perWallet: config.intentsPerWalletAndMinute,
      nowMs,
    }),
  });
  const dependencies = [
    watchDependency("postgres", () => probePostgres(pool)).dependency,
    keyDependency(() => requireActiveKey(config.keys, signersFile.current(), nowSeconds())),
  ];
  return {
    config,
    attestor,
    signers: signersFile.current,
    nowSeconds,
    logger,
    dependencies,
    close,
  };
}

function requireActiveKey(keys: SigningKeys, signers: Signers, nowSeconds: bigint): void {
  const signer = signerAt(signers, nowSeconds, nowSeconds);
  const held = `keys of ${keys.addresses.join(", ")}`;
  if (signer === undefined) {
    throw new ConfigError("ATTESTOR_PRIVATE_KEY", held, "no signer of SIGNERS_FILE is active now");
  }
  if (keys.has(signer.address)) return;
  throw new ConfigError(
    "ATTESTOR_PRIVATE_KEY",
    held,
    `the key of ${signer.address}, the active signer of SIGNERS_FILE, is not among them`,
  );
}

/** A replica whose key is not the active signer's takes itself out of service until the rotation reaches it. */
function keyDependency(check: () => void): Dependency {
  return {
    name: "signing-key",
    lastSuccessMs: () => 0,
    async probe() {
      check();
    },
  };
}
