import { statSync } from "node:fs";
import { raceDeadline } from "#common/deadline.ts";
import { DomainError } from "#common/domain-error.ts";
import { createLedgerReaders } from "#common/ledger/drivers/tigerbeetle.ts";
import { identityRemedy } from "#common/ledger/identity.ts";
import type { Logger } from "#common/process/logger.ts";
import { getMeter } from "#common/process/metrics.ts";
import { type Dependency, watchDependency } from "#common/rpc/health.ts";
import { isLedgerMissing } from "#common/tigerbeetle/ledger-away.ts";
import type { Engine, EngineClient, EngineConfig } from "#common/tigerbeetle/open-client.ts";
import { readOnlyClient } from "#common/tigerbeetle/read-only-client.ts";
import { watchIdentity } from "../core/identity-watch.ts";
import {
  checkStart,
  ForeignLedgerError,
  type IdentityPorts,
  type IdentityRecords,
  keepIdentity,
} from "../core/ledger-identity.ts";

/** Holds Clearing to the ledger that the records belong to, at the start and while it runs. */
export interface OwnLedger {
  /** As checkStart: before the chart is opened. */
  checkStart(): Promise<void>;
  /** As keepIdentity: after it. From then on the ledger is watched. */
  keep(): Promise<void>;
  /** Takes notice of a commit: its timestamp, nanoseconds. */
  saw(timestamp: bigint): void;
  requireLedger(): void;
  readonly dependency: Dependency;
  /** Watches no more, and raises the mark to what was seen, where ledger and records answer in time. */
  close(): Promise<void>;
}

export interface OwnLedgerOptions {
  readonly engine: EngineConfig;
  readonly reader: EngineClient;
  readonly records: IdentityRecords;
  readonly logger: Logger;
}

/** How long one read may take at a start and later, in milliseconds. */
const startReadMs = 30_000;
const readMs = 4_000;
/** How often the mark is raised while something commits, and how often the ledger is looked at while nothing does. */
const raiseMs = 1_000;
const lookMs = 5_000;
/** What a stop waits for the last look, in milliseconds. */
const lastLookMs = 2_000;

/** Whether a ledger may be made where there is none: only if nothing was ever cleared, or an empty one was adopted. */
export async function mayMakeLedger(records: IdentityRecords): Promise<boolean> {
  const identity = await records.read();
  if (identity !== undefined) return identity.birthTimestamp === undefined;
  return !(await records.hasEvidence());
}

/** Why a start must not go on with the ledger that it found; undefined for any other error. */
export function foreignLedger(error: unknown): string | undefined {
  if (error instanceof ForeignLedgerError) return error.message;
  if (isLedgerMissing(error)) {
    return `there is no ledger, and the records belong to one: it was lost, or lies elsewhere; ${identityRemedy}`;
  }
  if (error instanceof DomainError && error.kind === "LEDGER_UNAVAILABLE") {
    return "the ledger does not answer: is the cluster up, and is TIGERBEETLE_CLUSTER_ID its id?";
  }
  return undefined;
}

/** Watches nothing before `keep`. */
export function startIdentityWatch(options: OwnLedgerOptions): OwnLedger {
  const { engine, records, logger } = options;
  const { clusterId } = engine;
  const ports = (readTimeoutMs: number): IdentityPorts => ({
    reader: createLedgerReaders(readOnlyClient(options.reader), {
      batchMax: engine.batchMax,
      readTimeoutMs,
      waitingMax: 64,
      retryAfterMs: 500,
    })(),
    records,
    clusterId,
  });
  const place = watchPlace(engine.engine);
  const watch = watchIdentity(ports(readMs), place, (fault) => {
    if (fault === undefined) logger.info("ledger and records belong together again");
    else logger.error({ fault }, "nothing clears: ledger and records do not belong together");
  });
  observeFault(() => watch.fault !== undefined);
  let looking: Promise<void> | undefined;
  let lookedMs = 0;
  // One at a time, whoever asks.
  const look = (): Promise<void> => {
    looking ??= watch.look().finally(() => {
      looking = undefined;
      lookedMs = performance.now();
    });
    return looking;
  };
  const { dependency, onSuccess } = watchDependency("ledger_identity", look);
  let timer: NodeJS.Timeout | undefined;
  return {
    checkStart: () => checkStart(ports(startReadMs)),
    async keep() {
      await keepIdentity(ports(startReadMs));
      onSuccess();
      timer = setInterval(() => {
        if (!watch.isBehind && performance.now() - lookedMs < lookMs) return;
        // What cannot be looked at is what the dependencies say; what does not fit was told.
        look().then(onSuccess, () => undefined);
      }, raiseMs);
      timer.unref();
    },
    saw: watch.saw,
    requireLedger: watch.requireLedger,
    dependency,
    async close() {
      clearInterval(timer);
      await looking?.catch(() => undefined);
      if (timer === undefined || !watch.isBehind) return;
      // A copy of the ledger made before the last second of this process must not pass for the newest.
      const late = () => new Error("the ledger or the records did not answer");
      const limit = { deadlineMs: Date.now() + lastLookMs };
      await raceDeadline(look(), limit, late).catch((error: unknown) =>
        logger.warn({ err: error }, "the mark of the ledger was not raised to its last commits"),
      );
    },
  };
}

/** Tells when the embedded engine's file is no longer the one that was opened: who opens the path next gets another. */
function watchPlace(engine: Engine): () => string | undefined {
  if (engine.kind === "tigerbeetle") return () => undefined;
  const { path } = engine;
  const fileNumber = () => statSync(path, { throwIfNoEntry: false })?.ino;
  const opened = fileNumber();
  return () =>
    fileNumber() === opened
      ? undefined
      : `the file ${path} was moved away or replaced while it was in use`;
}

function observeFault(isFaulty: () => boolean): void {
  getMeter("sovr.clearing")
    .createObservableGauge("ledger_identity_fault", {
      description: "1 while the ledger is not the one that the records belong to: nothing clears.",
    })
    .addCallback((result) => result.observe(isFaulty() ? 1 : 0));
}
