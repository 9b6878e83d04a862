import { availableParallelism } from "node:os";
import { DomainError } from "#common/domain-error.ts";
import { createLedgerReaders } from "#common/ledger/drivers/tigerbeetle.ts";
import { formatDigestPrefix } from "#common/ledger/transfer-rows.ts";
import { isLedgerMissing } from "#common/tigerbeetle/ledger-away.ts";
import { type EngineConfig, openClient } from "#common/tigerbeetle/open-client.ts";
import { type ReadOnlyClient, readOnlyClient } from "#common/tigerbeetle/read-only-client.ts";
import { Problem } from "../command/problem.ts";
import {
  type AuditOptions,
  type AuditResult,
  type AuditState,
  auditLedger,
} from "./audit-ledger.ts";
import { type CheckpointScope, readCheckpoint, writeCheckpoint } from "./checkpoint.ts";
import type { AuditConfig } from "./config.ts";
import { startExaminers } from "./examiners.ts";
import { emptyLedger } from "./no-ledger.ts";
import { auditRecords } from "./records/audit-records.ts";
import { legIds } from "./records/holdings.ts";
import type { IntentKey, RecordsReader } from "./records/ports.ts";
import { openRecords } from "./records/postgres.ts";
import { lookAtStanding, type Standing } from "./standing.ts";
import { createAuditLedger, ledgerAnswerMs } from "./tigerbeetle.ts";

export interface RunAuditOptions
  extends Pick<AuditOptions, "findingsMax" | "onFinding" | "onProgress"> {
  /** Where the audit goes on from, and what it keeps there for the next. */
  readonly checkpointFile?: string | undefined;
  /** Told before the first page if an earlier audit is continued. */
  readonly onResume?: (state: Pick<AuditState, "transfers" | "timestamp">) => void;
}

/** Rows of a page: enough for a query to be worth it, few enough that a page for every thread is little memory. */
const pageRowsMax = 512;
/** Of the embedded engine: whoever reads every page once gains nothing by keeping them. */
const cacheMb = 8;
/** A thread more would wait for the ledger's and PostgreSQL's processes. */
const examinersMax = 8;
/** Between two checkpoints, in milliseconds: what a crash costs. */
const checkpointMs = 30_000;

/**
 * Audits the ledger and the records that `config` names, and changes and creates nothing there. Throws Problem if ledger
 * or records do not answer; ConfigError if they cannot be opened.
 */
export async function runAudit(
  config: AuditConfig,
  options: RunAuditOptions,
): Promise<AuditResult> {
  try {
    return await withParts(config, (parts) => audit(parts, config, options));
  } catch (error) {
    if (error instanceof DomainError) throw new Problem(error.message);
    throw error;
  }
}

interface Parts {
  readonly client: ReadOnlyClient;
  readonly records: RecordsReader;
}

async function withParts<Result>(
  config: AuditConfig,
  work: (parts: Parts) => Promise<Result>,
): Promise<Result> {
  const records = await openRecords(config.databaseUrl);
  try {
    const client = await openLedger(config.engine);
    try {
      return await work({ client, records });
    } finally {
      client.destroy();
    }
  } finally {
    await records.close();
  }
}

async function openLedger(engine: EngineConfig): Promise<ReadOnlyClient> {
  try {
    return readOnlyClient(await openClient(engine, { cacheMb, ifMissing: "refuse" }));
  } catch (error) {
    if (isLedgerMissing(error)) return emptyLedger();
    throw error;
  }
}

async function audit(
  { client, records }: Parts,
  config: AuditConfig,
  { checkpointFile, onResume, ...options }: RunAuditOptions,
): Promise<AuditResult> {
  const { clusterId, batchMax } = config.engine;
  const rowsMax = Math.min(batchMax, pageRowsMax);
  const scope: CheckpointScope = {
    clusterId,
    salt: config.domain.salt,
    signers: config.signers,
  };
  const checkpoint =
    checkpointFile === undefined ? undefined : readCheckpoint(checkpointFile, scope);
  const limits = { readTimeoutMs: ledgerAnswerMs, waitingMax: 256, retryAfterMs: 500 };
  const reader = createLedgerReaders(client, { batchMax: rowsMax, ...limits })();
  const standing = await lookAtStanding({ reader, records, clusterId, checkpoint });
  const { resume } = standing;
  if (resume !== undefined) onResume?.(resume);
  const keeps = checkpointFile !== undefined && standing.mayKeep;
  const examiners = startExaminers(Math.min(availableParallelism(), examinersMax), config);
  try {
    return await auditLedger({
      ...options,
      ledger: createAuditLedger(client, rowsMax),
      examine: examiners.examine,
      pagesMax: examiners.count + 1,
      resume,
      known: standing.findings,
      auditRecords: (task) =>
        auditRecords({
          ...task,
          records,
          ledger: reader,
          standing,
          trusted: trustedBy(standing),
          rowsMax,
        }),
      ...(keeps ? { checkpoint: checkpointTo(checkpointFile, scope) } : {}),
    });
  } finally {
    await examiners.close();
  }
}

/** What the checkpoint that is gone on from vouches for. */
function trustedBy({ resume }: Standing) {
  const told = resume?.findings.flatMap(({ transfer }) => transfer ?? []) ?? [];
  const ids = new Set(told.map(({ id }) => id));
  const prefixes = new Set(told.map(formatDigestPrefix));
  return {
    to: resume?.timestamp ?? 0n,
    hasTold: (intent: IntentKey) =>
      prefixes.has(intent.digest.slice(0, 50)) || legIds(intent).some((id) => ids.has(id)),
  };
}

function checkpointTo(file: string, scope: CheckpointScope) {
  let dueMs = Date.now() + checkpointMs;
  return {
    isDue: () => Date.now() >= dueMs,
    save: (state: AuditState) => {
      writeCheckpoint(file, scope, state);
      dueMs = Date.now() + checkpointMs;
    },
  };
}
