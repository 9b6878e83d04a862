import { availableParallelism } from "node:os";
import type { Client } from "tigerbeetle-node";
import { intentDigester } from "#common/intent-digest.ts";
import { migrateAtStart } from "#common/postgres/migrate.ts";
import { createPool, probePostgres } from "#common/postgres/pool.ts";
import { ConfigError } from "#common/rpc/environment.ts";
import { type Dependency, watchDependency } from "#common/rpc/health.ts";
import { createLogger, type Logger } from "#common/rpc/logger.ts";
import { durationHistogram, getMeter } from "#common/rpc/metrics.ts";
import { countSignatureChecks } from "#common/signature-metrics.ts";
import { type SignatureThreads, startSignatureThreads } from "#common/signature-threads.ts";
import { openSignersFile, type SignersFile } from "#common/signers-file.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { type ClearingHouse, createClearing } from "./clearing.ts";
import type { ClearingConfig } from "./config.ts";
import { ChartTimeoutError, openChart } from "./open-chart.ts";
import { createAnnouncer, createEvidenceStore } from "./postgres.ts";
import { recoverAheadOn } from "./recover-ahead.ts";
import {
  type ClearingLedgerOptions,
  createClearingLedger,
  fenceAccountId,
  probeTigerBeetle,
} from "./tigerbeetle.ts";

/** What the service is made of. */
export interface ClearingDeps {
  readonly clearing: ClearingHouse;
  readonly clusterId: bigint;
  readonly logger: Logger;
  readonly onFault: (error: unknown, message: string) => void;
  readonly dependencies: readonly Dependency[];
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
  const nowMs = overrides.nowMs ?? Date.now;
  const onFault = (error: unknown, message: string) => logger.error({ err: error }, message);
  const signersFile = openSigners(config.signersFile, logger);
  const pool = createPool({
    databaseUrl: config.databaseUrl,
    applicationName: "sovr-clearing",
    role: "sovr_clearing",
  });
  const clients: Client[] = [];
  const threads = startThreads();
  const checks = countSignatureChecks();
  const close = async () => {
    signersFile.close();
    await threads?.close();
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
    const ledger = createClearingLedger({
      writer,
      reader,
      batchMax: engine.batchMax,
      onAnswer: observeLedger(tigerbeetle.onSuccess),
    });
    await createChart(ledger, config, logger);
    const announcer = createAnnouncer(pool, (error) =>
      logger.debug({ err: error }, "a notification was lost"),
    );
    const clearing = createClearing(
      { digestIntent: intentDigester(config.domain), limits: config.limits },
      {
        ledger,
        evidence: createEvidenceStore(pool, postgres.onSuccess),
        recover: checks.recover,
        recoverAhead: threads && recoverAheadOn(threads, checks),
        signers: signersFile.current,
        now: () => BigInt(Math.floor(nowMs() / 1000)),
        announce: announcer.announce,
        onFault,
      },
    );
    const dependencies = [postgres.dependency, tigerbeetle.dependency];
    return { clearing, clusterId: engine.clusterId, logger, onFault, dependencies, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** More would wait for PostgreSQL and the ledger. */
const threadsMax = 4;

/** Threads for the signatures of batches, one core less than there are; none on a machine of one core. */
function startThreads(): SignatureThreads | undefined {
  const spare = Math.min(availableParallelism() - 1, threadsMax);
  return spare < 1 ? undefined : startSignatureThreads(spare);
}

function openSigners(path: string, logger: Logger): SignersFile {
  try {
    return openSignersFile(path, (error) =>
      logger.error({ err: error }, "the signers file is bad; the signers stay as they were"),
    );
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new ConfigError("SIGNERS_FILE", path, problem);
  }
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
