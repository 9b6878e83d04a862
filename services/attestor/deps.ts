import { setTimeout as sleep } from "node:timers/promises";
import { approvalDigester } from "#common/approval/digest.ts";
import { openPoliciesFile } from "#common/approval/policies-file.ts";
import { domainEncoder, intentDigester, intentEncoder } from "#common/intent/digest.ts";
import { countSignatureChecks } from "#common/intent/signature-metrics.ts";
import { type Signers, signerAt } from "#common/intent/signers.ts";
import { openSignersFile } from "#common/intent/signers-file.ts";
import { migrateAtStart } from "#common/postgres/migrate.ts";
import { createPool, type Pool, probePostgres } from "#common/postgres/pool.ts";
import { ConfigError } from "#common/process/environment.ts";
import { createLogger, type Logger } from "#common/process/logger.ts";
import { createRateLimit } from "#common/rate-limit.ts";
import { type Dependency, watchDependency } from "#common/rpc/health.ts";
import { batchDigester, batchEncoder } from "#common/tree/attestation-batch.ts";
import { createPageTokens, type PageTokens } from "#common/wire/page-token.ts";
import { type AttestMany, attestMany } from "./attest-many.ts";
import { type Attestor, createAttestor } from "./attestation.ts";
import type { AttestorConfig } from "./config.ts";
import { createRelatedEvidence, createSignOnceStore, migrations } from "./drivers/postgres.ts";
import { createProposalStore } from "./drivers/proposals.ts";
import { createProposals, type Proposals } from "./proposals.ts";
import type { SigningKeys } from "./signing-keys.ts";
import { wellKnownAddresses } from "./well-known-keys.ts";

/** What the service is made of. */
export interface AttestorDeps {
  readonly config: AttestorConfig;
  readonly attestor: Attestor;
  readonly attestMany: AttestMany;
  readonly proposals: Proposals;
  readonly pageTokens: PageTokens;
  readonly signers: () => Signers;
  /** Unix seconds. */
  readonly nowSeconds: () => bigint;
  readonly logger: Logger;
  readonly dependencies: readonly Dependency[];
  readonly close: () => Promise<void>;
}

/** Every statement touches a few hundred rows by their key; one that takes this long is stuck. */
const statementTimeoutMs = 5_000;

/** How long keys that lie elsewhere are waited for at a start, in milliseconds. */
const openKeysMs = 30_000;

/** What tests put in place of the real thing. */
export interface AttestorOverrides {
  /** Epoch milliseconds. */
  readonly nowMs?: () => number;
  readonly logger?: Logger;
}

/**
 * Opens what the Attestor needs and creates its tables. Throws ConfigError if the signers file cannot be read, the
 * active signer's key is not here, a key is one that everybody knows and this is no development, or a signer or PostgreSQL
 * does not answer within half a minute.
 */
export async function createAttestorDeps(
  config: AttestorConfig,
  overrides: AttestorOverrides = {},
): Promise<AttestorDeps> {
  const { runtime } = config;
  const logger =
    overrides.logger ?? createLogger(runtime.name, runtime.logLevel, { format: runtime.logFormat });
  // Closed in the reverse order, so that nothing is used after it was closed.
  const opened = new AsyncDisposableStack();
  try {
    return await openAll(config, overrides.nowMs ?? Date.now, logger, opened);
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

async function openAll(
  config: AttestorConfig,
  nowMs: () => number,
  logger: Logger,
  opened: AsyncDisposableStack,
): Promise<AttestorDeps> {
  const nowSeconds = () => BigInt(Math.floor(nowMs() / 1000));
  const onFault = (error: unknown, message: string) => logger.error({ err: error }, message);
  const signersFile = opened.adopt(openSignersFile(config.signersFile, onFault), (file) =>
    file.close(),
  );
  const pool = opened.adopt(openPool(config), (open) => open.end());
  const keys = await openKeys(config, opened);
  const requireKey = () => requireActiveKey(keys, signersFile.current(), nowSeconds());
  requireKey();
  if (config.runtime.environment !== "development") refuseWellKnown(keys);
  await migrateAtStart(config.databaseUrl, "attestor", migrations, (details, message) =>
    logger.info(details, message),
  );
  const policiesFile = opened.adopt(
    openPoliciesFile(config.approvalsPath, nowSeconds, onFault),
    (file) => file.close(),
  );
  const encode = domainEncoder(config.domain);
  const ports = {
    policies: policiesFile.current,
    digestApproval: approvalDigester(encode),
    digestBatch: batchDigester(encode),
    encodeBatch: batchEncoder(encode),
    proposals: createProposalStore(pool),
    digestIntent: intentDigester(config.domain),
    encodeIntent: intentEncoder(config.domain),
    store: createSignOnceStore(pool),
    evidence: createRelatedEvidence(pool),
    keys,
    recover: countSignatureChecks().recover,
    signers: signersFile.current,
    nowSeconds,
    limits: config.limits,
    rate: createRateLimit({
      what: "intents per wallet and minute",
      perWallet: config.intentsPerWalletAndMinute,
      nowMs,
    }),
    signatures: createRateLimit({
      what: "signatures of a signer in a minute",
      perWallet: config.signaturesPerMinute,
      nowMs,
    }),
  };
  const proposals = createProposals(ports);
  opened.adopt(sweepApproved(proposals, logger), (sweep) => sweep.close());
  return {
    config,
    attestor: createAttestor(ports),
    attestMany: (requests, limit) => attestMany(ports, requests, limit),
    proposals,
    pageTokens: createPageTokens("attestor", config.databaseUrl),
    signers: signersFile.current,
    nowSeconds,
    logger,
    dependencies: [
      watchDependency("postgres", () => probePostgres(pool)).dependency,
      // A replica that cannot sign as the active signer takes itself out of service until it can.
      watchDependency("signing-key", (signal) => keys.probe(requireKey(), signal)).dependency,
    ],
    close: () => opened.disposeAsync(),
  };
}

/** Between two looks for what was approved and not signed, in milliseconds. */
const sweepMs = 5_000;

/** Signs, now and then, what was approved by a process that died before it signed. */
function sweepApproved(proposals: Proposals, logger: Logger): { close(): Promise<void> } {
  const stopped = new AbortController();
  const { signal } = stopped;
  let problem = "";
  const sweep = async () => {
    while (!signal.aborted) {
      try {
        await proposals.signApproved({ deadlineMs: Date.now() + sweepMs, signal });
        problem = "";
      } catch (error) {
        // Told once, not every five seconds for as long as it lasts.
        if (problem !== String(error) && !signal.aborted)
          logger.error({ err: error }, "what was approved cannot be signed");
        problem = String(error);
      }
      await sleep(sweepMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  };
  const ended = sweep();
  return {
    close: () => {
      stopped.abort();
      return ended;
    },
  };
}

function openPool({ databaseUrl }: AttestorConfig): Pool {
  return createPool({
    databaseUrl,
    applicationName: "sovr-attestor",
    role: "sovr_attestor",
    statementTimeoutMs,
  });
}

async function openKeys(
  config: AttestorConfig,
  opened: AsyncDisposableStack,
): Promise<SigningKeys> {
  const { keys } = opened.adopt(await config.openKeys(AbortSignal.timeout(openKeysMs)), (open) =>
    open.close(),
  );
  return keys;
}

/** The address of the active signer. Throws ConfigError if there is none, or its key is not here. */
function requireActiveKey(keys: SigningKeys, signers: Signers, nowSeconds: bigint): string {
  const signer = signerAt(signers, nowSeconds, nowSeconds);
  const held = `keys of ${keys.addresses.join(", ")}`;
  if (signer === undefined) {
    throw new ConfigError("ATTESTOR_PRIVATE_KEY", held, "no signer of SIGNERS_FILE is active now");
  }
  if (keys.has(signer.address)) return signer.address;
  throw new ConfigError(
    "ATTESTOR_PRIVATE_KEY",
    held,
    `the key of ${signer.address}, the active signer of SIGNERS_FILE, is not among them`,
  );
}

/** Throws ConfigError. */
function refuseWellKnown(keys: SigningKeys): void {
  const wellKnown = wellKnownAddresses();
  const found = keys.addresses.find((address) => wellKnown.has(address));
  if (found === undefined) return;
  throw new ConfigError(
    "ATTESTOR_PRIVATE_KEY",
    `a key of ${found}`,
    "everybody knows this key: development chains have it. Make one of your own",
  );
}
