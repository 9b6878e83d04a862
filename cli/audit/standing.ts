import {
  holdsRow,
  identityRemedy,
  nanosecondsText,
  noMarks,
  readLedgerSigns,
} from "#common/ledger/identity.ts";
import type { LedgerReader } from "#common/ledger/reader.ts";
import type { AuditState } from "./audit-ledger.ts";
import type { Finding } from "./finding.ts";
import { findGap, knowAdoptions } from "./records/gap.ts";
import type { LedgerStanding } from "./records/judge-evidence.ts";
import type { RecordsReader } from "./records/ports.ts";

/** Whose the ledger is, before anything in it is looked at. */
export interface Standing extends LedgerStanding {
  /** That it is not the records' own, or not whole, if so. */
  readonly findings: readonly Finding[];
  /** The state to go on from: what it vouches for is still there. */
  readonly resume: AuditState | undefined;
  /** Whether a checkpoint may be kept: never of a ledger that has lost something, for it may be brought back. */
  readonly mayKeep: boolean;
}

export interface StandingOptions {
  readonly reader: LedgerReader;
  readonly records: RecordsReader;
  /** u128. */
  readonly clusterId: bigint;
  /** Where an earlier audit stopped. */
  readonly checkpoint: AuditState | undefined;
}

/**
 * Looks at whose ledger it is. A checkpoint is gone on from only if the ledger still has the row at which it was taken:
 * it would vouch for rows of a ledger that was lost since. LEDGER_UNAVAILABLE, RECORDS_UNAVAILABLE.
 */
export async function lookAtStanding(options: StandingOptions): Promise<Standing> {
  const { reader, records, clusterId, checkpoint } = options;
  // The identity first, or what is committed meanwhile looks lost.
  const identity = await records.identity();
  const signs = await readLedgerSigns(reader, clusterId, identity ?? noMarks);
  const gap = await findGap(reader, identity, signs, await records.hasEvidence());
  const adoptions = await knowAdoptions(reader, await records.adoptions(), signs.birthTimestamp);
  const nowNs = await reader.clusterTime();
  const findings: Finding[] = [];
  if (gap !== undefined) {
    findings.push({ kind: "LEDGER_DIFFERS", detail: `${gap.why}; ${identityRemedy}` });
  }
  const at = checkpoint?.timestamp ?? 0n;
  const isThere = at === 0n || (await holdsRow(reader, at));
  const isGivenUp = adoptions.some(({ adoptNs }) => adoptNs >= at);
  if (!isThere && !isGivenUp) {
    const detail = `an earlier audit read a transfer of ${nanosecondsText(at)}, by its checkpoint, and this ledger does not have it: it is another one, an old copy, or was rolled back. Everything was read anew`;
    findings.push({ kind: "LEDGER_DIFFERS", detail });
  }
  return {
    gap,
    adoptions,
    nowNs,
    findings,
    resume: isThere ? checkpoint : undefined,
    mayKeep: findings.length === 0,
  };
}
