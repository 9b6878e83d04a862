import { availableParallelism } from "node:os";
import { DomainError } from "#common/domain-error.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { readOnlyClient } from "#common/tigerbeetle/read-only-client.ts";
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
import { createAuditLedger } from "./tigerbeetle.ts";

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
 * Audits the ledger that `config` names. Throws Problem if ledger or records do not answer; ConfigError if they cannot
 * be opened.
 */
export async function runAudit(
  config: AuditConfig,
  options: RunAuditOptions,
): Promise<AuditResult> {
  const { checkpointFile, onResume, ...rest } = options;
  const scope: CheckpointScope = {
    clusterId: config.engine.clusterId,
    salt: config.domain.salt,
    signers: config.signers,
  };
  const resume = checkpointFile === undefined ? undefined : readCheckpoint(checkpointFile, scope);
  if (resume !== undefined) onResume?.(resume);
  const client = readOnlyClient(await openClient(config.engine, { cacheMb }));
  const examiners = startExaminers(Math.min(availableParallelism(), examinersMax), config);
  try {
    return await auditLedger({
      ...rest,
      ledger: createAuditLedger(client, Math.min(config.engine.batchMax, pageRowsMax)),
      examine: examiners.examine,
      pagesMax: examiners.count + 1,
      resume,
      ...(checkpointFile === undefined ? {} : { checkpoint: checkpointTo(checkpointFile, scope) }),
    });
  } catch (error) {
    if (error instanceof DomainError) throw new Problem(error.message);
    throw error;
  } finally {
    await examiners.close();
    client.destroy();
  }
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
