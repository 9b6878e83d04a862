import { availableParallelism } from "node:os";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { MessagePort } from "node:worker_threads";
import type { Client } from "tigerbeetle-node";
import { intentDigester } from "#common/intent/digest.ts";
import { countSignatureChecks } from "#common/intent/signature-metrics.ts";
import { openSignersFile, type SignersFile } from "#common/intent/signers-file.ts";
import type { RecoverAddress } from "#common/intent/verify-attestation.ts";
import { migrateAtStart } from "#common/postgres/migrate.ts";
import { createPool, type Pool, probePostgres } from "#common/postgres/pool.ts";
import { ConfigError } from "#common/process/environment.ts";
import { createLogger, type Logger } from "#common/process/logger.ts";
import { durationHistogram, getMeter } from "#common/process/metrics.ts";
import { type Dependency, watchDependency } from "#common/rpc/health.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { type SignatureThreads, startSignatureThreads } from "./batch/signature-threads.ts";
import { type BatchObserver, type BatchThreads, startBatchThreads } from "./batch/threads.ts";
import type { ClearingConfig } from "./config.ts";
import { type ClearingHouse, createClearing } from "./core/clearing.ts";
import { ChartTimeoutError, openChart } from "./core/open-chart.ts";
import type { ClearingLedger, RecoverAhead } from "./core/ports.ts";
import { recoverAheadOn } from "./core/recover-ahead.ts";
import { createAnnouncer, createEvidenceStore } from "./drivers/postgres.ts";
import {
  type ClearingLedgerOptions,
  createClearingLedger,
  fenceAccountId,
  probeTigerBeetle,
} from "./drivers/tigerbeetle.ts";

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

/** What a thread that clears batches is made of. */
export interface BatchThreadDeps {
  readonly clearing: ClearingHouse;
  readonly clusterId: bigint;
  close(): Promise<void>;
}

/** What tests put in place of the real thing. */
export interface ClearingOverrides {
  /** Epoch milliseconds. */
  readonly nowMs?: () => number;
  readonly logger?: Logger;
}

/** How long the start waits for the ledger, in milliseconds. */
const ledgerStartMs = 30_000;

/**
 * Opens what Clearing needs, creates its tables and the chart of accounts. Throws ConfigError if the signers file
 * cannot be read or PostgreSQL or the ledger does not answer within half a minute; Error if the ledger holds an
 * account of the chart otherwise than the chart says.
 */
export async function createClearingDeps(
  config: ClearingConfig,
  overrides: ClearingOverrides = {},
): Promise<ClearingDeps> {
  const { runtime, engine } = config;
  const logger =
    overrides.logger ?? createLogger(runtime.name, runtime.logLevel, { format: runtime.logFormat });
  const onFault = (error: unknown, message: string) => logger.error({ err: error }, message);
  const signersFile = openSignersFile(config.signersFile, onFault);
  const pool = openPool(config, poolMax);
  const clients: Client[] = [];
  const signatureThreads = startSignatures();
  const checks = countSignatureChecks();
  let batchThreads: BatchThreads | undefined;
  const close = async () => {
    await batchThreads?.close();
    signersFile.close();
    await signatureThreads?.close();
    for (const client of clients) client.destroy();
    await pool.end();
  };
  try {
    await migrateAtStart(config.databaseUrl, "clearing", new URL("./migrations/", import.meta.url));
    // A client has one request in flight: a page of reads must not hold up a clearing.
    const writer = await openClient(engine);
    clients.push(writer);
    const reader = await openClient(engine);
    clients.push(reader);
    const postgres = watchDependency("postgres", () => probePostgres(pool));
    const tigerbeetle = watchDependency("tigerbeetle", () => probeTigerBeetle(reader));
    const onAnswer = observeLedger(tigerbeetle.onSuccess);
    const ledger = createClearingLedger({ writer, reader, batchMax: engine.batchMax, onAnswer });
    await createChart(ledger, config, logger);
    const clearing = openHouse(config, {
      ledger,
      pool,
      onRecords: postgres.onSuccess,
      signersFile,
      recover: checks.recover,
      recoverAhead: signatureThreads && recoverAheadOn(signatureThreads, checks),
      nowMs: overrides.nowMs ?? Date.now,
      giveWay: nextTurn,
      onFault,
      onLost: (error) => logger.debug({ err: error }, "a notification was lost"),
    });
    return {
      clearing,
      clusterId: engine.clusterId,
      logger,
      dependencies: [postgres.dependency, tigerbeetle.dependency],
      startBatchThreads: () => {
        batchThreads = startBatchThreads(config, {
          sharePort: () => writer.share(),
          count: Math.min(availableParallelism(), batchThreadsMax),
          onFault,
          onLedgerAnswer: onAnswer,
          onSignatures: checks.addOnThreads,
        });
        return batchThreads;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

export interface BatchThreadOptions extends BatchObserver {
  /** Of the service's own client, where the engine is shared. */
  readonly sharedPort: MessagePort | undefined;
  readonly recover: RecoverAddress;
  readonly giveWay: () => Promise<void> | undefined;
}

/** Opens what a batch thread needs. The service has created tables and chart before. Throws ConfigError. */
export async function createBatchThreadDeps(
  config: ClearingConfig,
  { sharedPort, onFault, onLedgerAnswer, recover, giveWay }: BatchThreadOptions,
): Promise<BatchThreadDeps> {
  const { engine } = config;
  const signersFile = openSignersFile(config.signersFile, onFault);
  const pool = openPool(config, batchPoolMax);
  // One client, for a cluster has few sessions: here a read may wait for a write.
  const client = await openClient(engine, { sharedPort });
  const clearing = openHouse(config, {
    ledger: createClearingLedger({
      writer: client,
      reader: client,
      batchMax: engine.batchMax,
      onAnswer: onLedgerAnswer,
    }),
    pool,
    onRecords: () => undefined,
    signersFile,
    recover,
    recoverAhead: undefined,
    nowMs: Date.now,
    giveWay,
    onFault,
    onLost: () => undefined,
  });
  return {
    clearing,
    clusterId: engine.clusterId,
    close: async () => {
      signersFile.close();
      client.destroy();
      await pool.end();
    },
  };
}

interface HouseParts {
  readonly ledger: ClearingLedger;
  readonly pool: Pool;
  readonly onRecords: () => void;
  readonly signersFile: SignersFile;
  readonly recover: RecoverAddress;
  readonly recoverAhead: RecoverAhead | undefined;
  readonly nowMs: () => number;
  readonly giveWay: () => Promise<void> | undefined;
  readonly onFault: (error: unknown, message: string) => void;
  /** Hears of a notification that was lost. */
  readonly onLost: (error: unknown) => void;
}

function openHouse(config: ClearingConfig, parts: HouseParts): ClearingHouse {
  const { ledger, pool, recover, recoverAhead, signersFile, nowMs, giveWay, onFault } = parts;
  return createClearing(
    { digestIntent: intentDigester(config.domain), limits: config.limits },
    {
      ledger,
      evidence: createEvidenceStore(pool, parts.onRecords),
      recover,
      recoverAhead,
      signers: signersFile.current,
      now: () => BigInt(Math.floor(nowMs() / 1000)),
      giveWay,
      announce: createAnnouncer(pool, parts.onLost).announce,
      onFault,
    },
  );
}

const poolMax = 8;
/** Two pages at a time store their evidence. */
const batchPoolMax = 3;

function openPool({ databaseUrl }: ClearingConfig, connectionsMax: number): Pool {
  return createPool({
    databaseUrl,
    applicationName: "sovr-clearing",
    role: "sovr_clearing",
    connectionsMax,
  });
}

/** Two keep two cores busy; more would take sessions of the ledger, of which all replicas together have few. */
const batchThreadsMax = 2;
/** More would wait for PostgreSQL and the ledger. */
const signatureThreadsMax = 4;

/** Threads for the signatures of calls that come together, one core less than there are; none on a machine of one core. */
function startSignatures(): SignatureThreads | undefined {
  const spare = Math.min(availableParallelism() - 1, signatureThreadsMax);
  return spare < 1 ? undefined : startSignatureThreads(spare);
}

async function createChart(
  ledger: ReturnType<typeof createClearingLedger>,
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

/** Counts the ledger's answers, how long they took and how many events they held. */
function observeLedger(onSuccess: () => void): ClearingLedgerOptions["onAnswer"] {
  const meter = getMeter("sovr.tigerbeetle");
  const duration = durationHistogram(
    meter,
    "tigerbeetle_request_duration",
    "Requests to the ledger, from being sent to being answered.",
  );
  const size = meter.createHistogram("tigerbeetle_request_events", {
    description: "Events in a request to the ledger.",
    advice: { explicitBucketBoundaries: [1, 4, 16, 64, 256, 1024, 4096, 8189] },
  });
  return (operation, events, durationMs) => {
    onSuccess();
    duration.record(durationMs / 1_000, { operation });
    size.record(events, { operation });
  };
}
