import { availableParallelism } from "node:os";
import type { MessagePort } from "node:worker_threads";
import { approvalDigester } from "#common/approval/digest.ts";
import { openPoliciesFile, type PoliciesFile } from "#common/approval/policies-file.ts";
import { type BreakerCells, createBreakerCells } from "#common/breaker.ts";
import { domainEncoder, intentDigester } from "#common/intent/digest.ts";
import { rememberTrees } from "#common/intent/remember-trees.ts";
import { countSignatureChecks, type SignatureChecks } from "#common/intent/signature-metrics.ts";
import { openSignersFile, type SignersFile } from "#common/intent/signers-file.ts";
import type { RecoverAddress } from "#common/intent/verify-attestation.ts";
import { migrateAtStart } from "#common/postgres/migrate.ts";
import { createPool, type Pool, probePostgres } from "#common/postgres/pool.ts";
import { ConfigError } from "#common/process/environment.ts";
import { createLogger, type Logger } from "#common/process/logger.ts";
import { type Dependency, watchDependency } from "#common/rpc/health.ts";
import { clusterTime } from "#common/tigerbeetle/cluster-time.ts";
import {
  createLedgerBreaker,
  type LedgerBreaker,
  observeLedgerBreaker,
  unwatchedLine,
} from "#common/tigerbeetle/ledger-breaker.ts";
import {
  type EngineClient,
  type OpenClientOptions,
  openClient,
} from "#common/tigerbeetle/open-client.ts";
import { batchDigester } from "#common/tree/attestation-batch.ts";
import { recoverAheadOn } from "./batch/recover-ahead.ts";
import { startSignatureThreads } from "./batch/signature-threads.ts";
import { type BatchObserver, type BatchThreads, startBatchThreads } from "./batch/threads.ts";
import type { ClearingConfig } from "./config.ts";
import { type ClearingHouse, createClearing } from "./core/house.ts";
import { ChartTimeoutError, openChart } from "./core/open-chart.ts";
import type { AttestorRecords, ClearingLedger, ClearingPorts, RecoverAhead } from "./core/ports.ts";
import { createIdentityRecords } from "./drivers/identity-records.ts";
import { foreignLedger, mayMakeLedger, startIdentityWatch } from "./drivers/own-ledger.ts";
import { createAnnouncer, createAttestorRecords, createEvidenceStore } from "./drivers/postgres.ts";
import {
  createClearingLedger,
  fenceAccountId,
  type LedgerLines,
  type OnLedgerAnswer,
  probeReads,
} from "./drivers/tigerbeetle.ts";
import { countLedgerAnswers } from "./drivers/tigerbeetle-metrics.ts";

/** What the service is made of. */
export interface ClearingDeps {
  readonly clearing: ClearingHouse;
  readonly clusterId: bigint;
  readonly logger: Logger;
  readonly dependencies: readonly Dependency[];
  /** Starts the threads that clear batches; `close` ends them too. */
  startBatchThreads(): BatchThreads;
  close(): Promise<void>;
}

/** What tests put in place of the real thing. */
export interface ClearingOverrides {
  /** Epoch milliseconds. */
  readonly nowMs?: () => number;
  readonly logger?: Logger;
  /** For intents that no Attestor has attested. */
  readonly attestor?: AttestorRecords;
}

/**
 * Opens what Clearing needs, creates its tables and the chart of accounts. Throws ConfigError if the signers file
 * cannot be read or PostgreSQL or the ledger does not answer within half a minute; Error if the ledger holds an
 * account of the chart otherwise than the chart says.
 */
export async function createClearingDeps(
  config: ClearingConfig,
  overrides: ClearingOverrides = {},
): Promise<ClearingDeps> {
  const { runtime } = config;
  const logger =
    overrides.logger ?? createLogger(runtime.name, runtime.logLevel, { format: runtime.logFormat });
  // Closed in the reverse order, so that nothing is used after it was closed.
  const opened = new AsyncDisposableStack();
  try {
    return await openAll(config, overrides, logger, opened);
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

async function openAll(
  config: ClearingConfig,
  overrides: ClearingOverrides,
  logger: Logger,
  opened: AsyncDisposableStack,
): Promise<ClearingDeps> {
  const { nowMs = Date.now } = overrides;
  const { engine } = config;
  const onFault = (error: unknown, message: string) => logger.error({ err: error }, message);
  const onLost = (error: unknown) => logger.debug({ err: error }, "a notification was lost");
  const signersFile = openSigners(config, onFault, opened);
  const policiesFile = openPolicies(config, onFault, opened);
  const pool = openPool(config, poolMax, opened);
  const checks = countSignatureChecks();
  const recoverAhead = startRecoveringAhead(checks, opened);
  const migrations = new URL("./migrations/", import.meta.url);
  await migrateAtStart(config.databaseUrl, "clearing", migrations, (details, message) =>
    logger.info(details, message),
  );
  // A client has one request in flight: a long read must not hold up a clearing.
  const records = createIdentityRecords(pool);
  const ifMissing = (await mayMakeLedger(records)) ? "create" : "refuse";
  const writer = await openLedgerClient(config, { ifMissing }, opened);
  const reader = await openLedgerClient(config, { ifMissing: "refuse" }, opened);
  const cells = createBreakerCells(firstThreadLine + batchThreadsMax);
  const breaker = openBreaker(config, cells, opened);
  observeLedgerBreaker(breaker, logger);
  const lines = {
    writer: breaker.line(0, () => clusterTime(writer)),
    reader: breaker.line(1, () => probeReads(reader)),
  };
  const postgres = watchDependency("postgres", () => probePostgres(pool));
  const tigerbeetle = watchDependency("tigerbeetle", () =>
    lines.reader.read(() => probeReads(reader)),
  );
  const count = countLedgerAnswers();
  const onLedgerAnswer: OnLedgerAnswer = (...answer) => {
    tigerbeetle.onSuccess();
    count(...answer);
  };
  const { batchMax } = engine;
  const identity = startIdentityWatch({ engine, reader, records, logger });
  opened.defer(() => identity.close());
  const ledgerOn = (ofLines: LedgerLines) =>
    createClearingLedger({
      writer,
      reader,
      lines: ofLines,
      batchMax,
      onAnswer: onLedgerAnswer,
      onCommit: identity.saw,
    });
  const ledger = ledgerOn(lines);
  await refuseForeign(config, () => identity.checkStart());
  // A start has more patience than calls have.
  await createChart(ledgerOn({ writer: unwatchedLine, reader: unwatchedLine }), config, logger);
  await refuseForeign(config, () => identity.keep());
  const evidence = createEvidenceStore(pool, postgres.onSuccess);
  const attestor = overrides.attestor ?? createAttestorRecords(pool);
  const announce = createAnnouncer(pool, onLost);
  const { recover } = checks;
  const requireLedger = () => {
    identity.requireLedger();
    breaker.requireAnswers();
  };
  const house = { ledger, evidence, attestor, announce, requireLedger, nowMs, onFault };
  const parts = { ...house, signersFile, policiesFile, recover, recoverAhead };
  return {
    clearing: openHouse(config, parts),
    clusterId: engine.clusterId,
    logger,
    dependencies: [postgres.dependency, tigerbeetle.dependency, identity.dependency],
    startBatchThreads: () => {
      const threads = startBatchThreads(config, {
        sharePort: () => writer.share(),
        cells,
        count: Math.min(availableParallelism(), batchThreadsMax),
        onFault,
        onLedgerAnswer,
        onCommit: identity.saw,
        onSignatures: checks.addOnThreads,
      });
      opened.defer(() => threads.close());
      return threads;
    },
    close: () => opened.disposeAsync(),
  };
}

/** What a thread that clears batches is made of. */
export interface BatchThreadDeps {
  readonly clearing: ClearingHouse;
  readonly clusterId: bigint;
  close(): Promise<void>;
}

export interface BatchThreadOptions extends BatchObserver {
  /** Of the service's own client, where the engine is shared. */
  readonly sharedPort: MessagePort | undefined;
  /** Of the service's own breaker, and which thread this is, from 0. */
  readonly cells: BreakerCells;
  readonly thread: number;
  readonly recover: RecoverAddress;
}

/**
 * Opens what a batch thread needs. The service has created tables and chart before. Throws ConfigError; a thread that
 * cannot open what it needs ends the process, so nothing is closed then.
 */
export async function createBatchThreadDeps(
  config: ClearingConfig,
  options: BatchThreadOptions,
): Promise<BatchThreadDeps> {
  const { sharedPort, cells, thread, onFault, onLedgerAnswer, onCommit, recover } = options;
  const { clusterId, batchMax } = config.engine;
  const opened = new AsyncDisposableStack();
  const signersFile = openSigners(config, onFault, opened);
  const policiesFile = openPolicies(config, onFault, opened);
  const pool = openPool(config, batchPoolMax, opened);
  // One client, for a cluster has few sessions: here a read may wait for a write.
  const client = await openLedgerClient(config, { sharedPort, ifMissing: "refuse" }, opened);
  const breaker = openBreaker(config, cells, opened);
  const line = breaker.line(firstThreadLine + thread, () => clusterTime(client));
  const ledger = createClearingLedger({
    writer: client,
    reader: client,
    lines: { writer: line, reader: line },
    batchMax,
    onAnswer: onLedgerAnswer,
    onCommit,
  });
  const clearing = openHouse(config, {
    ledger,
    evidence: createEvidenceStore(pool, () => undefined),
    attestor: createAttestorRecords(pool),
    announce: createAnnouncer(pool, () => undefined),
    // Whose ledger it is, the main thread asks before it gives a slice to a thread.
    requireLedger: breaker.requireAnswers,
    signersFile,
    policiesFile,
    recover,
    recoverAhead: undefined,
    nowMs: Date.now,
    onFault,
  });
  return { clearing, clusterId, close: () => opened.disposeAsync() };
}

interface HouseParts
  extends Omit<ClearingPorts, "signers" | "policies" | "nowSeconds" | "recoverTree"> {
  readonly signersFile: SignersFile;
  readonly policiesFile: PoliciesFile;
  /** Epoch milliseconds. */
  readonly nowMs: () => number;
}

function openHouse(config: ClearingConfig, parts: HouseParts): ClearingHouse {
  const { signersFile, policiesFile, nowMs, ...ports } = parts;
  const { domain, limits } = config;
  const encode = domainEncoder(domain);
  const digestApproval = approvalDigester(encode);
  const digestBatch = batchDigester(encode);
  return createClearing(
    { digestIntent: intentDigester(domain), digestBatch, digestApproval, limits },
    {
      ...ports,
      recoverTree: rememberTrees(ports.recover),
      signers: signersFile.current,
      policies: policiesFile.current,
      nowSeconds: () => BigInt(Math.floor(nowMs() / 1_000)),
    },
  );
}

function openSigners(
  { signersFile: path }: ClearingConfig,
  onFault: BatchObserver["onFault"],
  opened: AsyncDisposableStack,
): SignersFile {
  return opened.adopt(openSignersFile(path, onFault), (file) => file.close());
}

function openPolicies(
  { approvalsPath }: ClearingConfig,
  onFault: BatchObserver["onFault"],
  opened: AsyncDisposableStack,
): PoliciesFile {
  const nowSeconds = () => BigInt(Math.floor(Date.now() / 1_000));
  return opened.adopt(openPoliciesFile(approvalsPath, nowSeconds, onFault), (file) => file.close());
}

/** Behind those of the service's own two clients. */
const firstThreadLine = 2;

function openBreaker(
  { ledgerSilenceMs: silenceMs }: ClearingConfig,
  cells: BreakerCells,
  opened: AsyncDisposableStack,
): LedgerBreaker {
  return opened.adopt(createLedgerBreaker({ cells, silenceMs }), (breaker) => breaker.close());
}

const poolMax = 8;
/** Two slices at a time store their evidence. */
const batchPoolMax = 3;

function openPool(
  { databaseUrl }: ClearingConfig,
  connectionsMax: number,
  opened: AsyncDisposableStack,
): Pool {
  const applicationName = "sovr-clearing";
  const role = "sovr_clearing";
  const pool = createPool({ databaseUrl, applicationName, role, connectionsMax });
  return opened.adopt(pool, () => pool.end());
}

async function openLedgerClient(
  config: ClearingConfig,
  options: OpenClientOptions,
  opened: AsyncDisposableStack,
): Promise<EngineClient> {
  const client = await refuseForeign(config, () => openClient(config.engine, options));
  return opened.adopt(client, () => client.destroy());
}

/** Names the variable by which a ledger was found that is not the one that the records belong to. */
async function refuseForeign<T>(
  { engine: { engine } }: ClearingConfig,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const why = foreignLedger(error);
    if (why === undefined) throw error;
    throw engine.kind === "embedded"
      ? new ConfigError("EMBEDDED_LEDGER_PATH", engine.path, why)
      : new ConfigError("TIGERBEETLE_ADDRESSES", engine.addresses.join(","), why);
  }
}

/** More would wait for PostgreSQL and the ledger. */
const signatureThreadsMax = 4;

/** Threads for the signatures of calls that come together, one core less than there are; none on a machine of one core. */
function startRecoveringAhead(
  checks: SignatureChecks,
  opened: AsyncDisposableStack,
): RecoverAhead | undefined {
  const spare = Math.min(availableParallelism() - 1, signatureThreadsMax);
  if (spare < 1) return undefined;
  const threads = startSignatureThreads(spare);
  opened.defer(() => threads.close());
  return recoverAheadOn(threads, checks);
}

/** Two keep two cores busy; more would take sessions of the ledger, of which all replicas together have few. */
const batchThreadsMax = 2;

/** How long the start waits for the ledger, in milliseconds. */
const ledgerStartMs = 30_000;

async function createChart(
  ledger: ClearingLedger,
  { engine: { engine } }: ClearingConfig,
  logger: Logger,
): Promise<void> {
  try {
    await openChart(ledger, {
      fenceAccountId,
      timeoutMs: ledgerStartMs,
      onClosed: ({ id, name }) =>
        logger.warn({ accountId: id.toString(), name }, "an account of the chart is closed"),
    });
  } catch (error) {
    if (!(error instanceof ChartTimeoutError)) throw error;
    if (engine.kind === "embedded") {
      throw new ConfigError("EMBEDDED_LEDGER_PATH", engine.path, error.message);
    }
    const hint = "is the cluster up, and is TIGERBEETLE_CLUSTER_ID its id?";
    throw new ConfigError(
      "TIGERBEETLE_ADDRESSES",
      engine.addresses.join(","),
      `${error.message}; ${hint}`,
    );
  }
}
