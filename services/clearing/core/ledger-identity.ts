import type { AttestedIntent } from "#common/intent/intent.ts";
import {
  birthAccountId,
  identityFault,
  identityRemedy,
  type LedgerIdentity,
  type LedgerSigns,
  nanosecondsText,
  noMarks,
  readLedgerSigns,
} from "#common/ledger/identity.ts";
import { endOfTime, type LedgerReader } from "#common/ledger/reader.ts";
import {
  type CommittedTransfer,
  formatDigestPrefix,
  isDerivedRow,
  type TransferRow,
  transferRows,
} from "#common/ledger/transfer-rows.ts";

/** What the records hold of the ledger's identity. All reject with RECORDS_UNAVAILABLE. */
export interface IdentityRecords {
  read(): Promise<LedgerIdentity | undefined>;
  hasEvidence(): Promise<boolean>;
  /** The newest evidence without a recorded failure. */
  newestEvidence(limit: number): Promise<readonly AttestedIntent[]>;
  /**
   * The newest evidence of which the records tell that it has cleared: Checkout was told so, or a POST or VOID of it failed
   * because it had been posted, voided or had expired.
   */
  newestAcknowledged(limit: number): Promise<readonly AttestedIntent[]>;
  /** Which of these digest prefixes (24 bytes as `0x` hex) have evidence. */
  knownPrefixes(prefixes: readonly string[]): Promise<ReadonlySet<string>>;
  /** Writes the identity, unless somebody else has. */
  write(identity: LedgerIdentity): Promise<void>;
  /** Says when the ledger of an adopted, empty one was born, unless that is known. */
  writeBirth(timestamp: bigint): Promise<void>;
  /** Raises the mark, unless it is higher. */
  raiseMark(timestamp: bigint): Promise<void>;
}

/** Transfers above the mark that no evidence stands behind. */
export interface Unattested {
  readonly count: number;
  /** There may be more: nobody has looked further. */
  readonly more: boolean;
  /** The first few. */
  readonly first: readonly CommittedTransfer[];
}

/** What a start has found. */
export interface StartFindings {
  readonly identity: LedgerIdentity | undefined;
  readonly signs: LedgerSigns;
  readonly hasEvidence: boolean;
  /** Looked at only where the identity is absent: intents that may have cleared, and how many of them are there whole. */
  readonly newest: { readonly looked: number; readonly whole: number };
  /** Likewise: intents that have cleared, and the ids of those that are not there whole, the newest first. */
  readonly acknowledged: { readonly looked: number; readonly missing: readonly string[] };
  /** Looked at only where the identity is there. */
  readonly unattested: Unattested;
}

/** FITS: the ledger is the records' own. FIRST_START: there is nothing anywhere. RECOGNISED: by its rows, not by the identity. */
export type StartVerdict =
  | { readonly kind: "FITS" | "FIRST_START" | "RECOGNISED" }
  | { readonly kind: "REFUSED"; readonly why: string };

/** Decides whether Clearing may start on a ledger. */
export function judgeStart(found: StartFindings): StartVerdict {
  const { identity, signs, hasEvidence, newest, acknowledged, unattested } = found;
  if (identity !== undefined) {
    const fault = identityFault(identity, signs);
    if (fault !== undefined) return refused(fault);
    return unattested.count === 0
      ? { kind: "FITS" }
      : refused(unattestedText(identity, unattested));
  }
  if (!hasEvidence) {
    if (signs.newestTransfer === 0n) return { kind: "FIRST_START" };
    return refused(
      `the ledger holds transfers, the newest of ${nanosecondsText(signs.newestTransfer)}, and the records hold no evidence: the database is empty, or another one`,
    );
  }
  if (signs.birthTimestamp === undefined) {
    return refused(
      "the records hold evidence, and the ledger is empty: it was lost, or is another",
    );
  }
  // An old copy holds most of what may have cleared, and lacks the last of what did.
  const [missing] = acknowledged.missing;
  if (missing !== undefined) {
    return refused(
      `of the ${acknowledged.looked} newest intents that have cleared by the records ${acknowledged.missing.length} are not in the ledger, the newest of them ${missing}; the ledger's newest row is of ${nanosecondsText(signs.newest)}: it is an old copy`,
    );
  }
  // Where every intent has failed there is nothing to look for; the chart is all that the ledger ever held.
  if (newest.looked === 0 || newest.whole > 0) return { kind: "RECOGNISED" };
  return refused(
    `of the ${newest.looked} newest intents that may have cleared none is in the ledger, whose newest row is of ${nanosecondsText(signs.newest)}: it is another one, or an old copy`,
  );
}

function refused(why: string): StartVerdict {
  return { kind: "REFUSED", why: `${why}; ${identityRemedy}` };
}

function unattestedText(
  { highWaterMark }: LedgerIdentity,
  { count, more, first }: Unattested,
): string {
  const rows = first.map(({ id, timestamp }) => `${id} of ${nanosecondsText(timestamp)}`);
  return `the records have seen the ledger up to ${nanosecondsText(highWaterMark)}, and ${more ? "at least " : ""}${count} later transfers have no evidence (the first: ${rows.join(", ")}): the database was rolled back`;
}

/** The ledger is not the one that the records belong to. The message says both values and what to do. */
export class ForeignLedgerError extends Error {
  override readonly name = "ForeignLedgerError";
}

export interface IdentityPorts {
  readonly reader: LedgerReader;
  readonly records: IdentityRecords;
  /** u128. */
  readonly clusterId: bigint;
}

/** Enough that one of them has cleared in a house where most fail, and one request. */
const newestMax = 100;

/** Looks at what a start must know, and changes nothing. LEDGER_UNAVAILABLE, RECORDS_UNAVAILABLE. */
export async function lookAtStart(ports: IdentityPorts): Promise<StartFindings> {
  const { reader, records, clusterId } = ports;
  // The identity, then the ledger, then the evidence: what another replica adds meanwhile then never looks lost.
  const identity = await records.read();
  const signs = await readLedgerSigns(reader, clusterId, identity ?? noMarks);
  const fits = identity !== undefined && identityFault(identity, signs) === undefined;
  const hasEvidence = await records.hasEvidence();
  const isUnknown = identity === undefined && hasEvidence;
  return {
    identity,
    signs,
    hasEvidence,
    newest: isUnknown ? await lookForNewest(ports) : { looked: 0, whole: 0 },
    acknowledged: isUnknown ? await lookForAcknowledged(ports) : { looked: 0, missing: [] },
    unattested: fits
      ? await findUnattested(ports, identity.highWaterMark)
      : { count: 0, more: false, first: [] },
  };
}

async function lookForNewest({ reader, records }: IdentityPorts): Promise<StartFindings["newest"]> {
  const evidence = await records.newestEvidence(newestMax);
  const missing = await findMissing(reader, evidence);
  return { looked: evidence.length, whole: evidence.length - missing.length };
}

async function lookForAcknowledged({
  reader,
  records,
}: IdentityPorts): Promise<StartFindings["acknowledged"]> {
  const evidence = await records.newestAcknowledged(newestMax);
  const missing = await findMissing(reader, evidence);
  return { looked: evidence.length, missing: missing.map(({ intent }) => intent.intentId) };
}

/** The intents of which not every transfer is in the ledger as derived, in their order. */
async function findMissing(
  reader: LedgerReader,
  evidence: readonly AttestedIntent[],
): Promise<AttestedIntent[]> {
  const chains = evidence.map(({ intent, attestation }) =>
    transferRows(intent, attestation.digest),
  );
  const transfers = await reader.findTransfers(chains.flat().map(({ id }) => id));
  const isWhole = (rows: readonly TransferRow[]) =>
    rows.every((row) => {
      const transfer = transfers.get(row.id);
      return transfer !== undefined && isDerivedRow(transfer, row);
    });
  return evidence.filter((_, index) => !isWhole(chains[index] ?? []));
}

/** Rows that a start reads above the mark: it lags by seconds, so there are few, unless the database is an old one. */
const lateRowsMax = 100_000;
const namedMax = 3;

/**
 * The transfers above the mark that carry a digest without evidence. One that carries none was never Clearing's, and says
 * nothing of the records: the audit and EventStream name it.
 */
async function findUnattested(
  { reader, records }: IdentityPorts,
  mark: bigint,
): Promise<Unattested> {
  const first: CommittedTransfer[] = [];
  let count = 0;
  let from = mark + 1n;
  for (let read = 0; read < lateRowsMax; ) {
    const page = await reader.listTransfers("any", { from, to: endOfTime, limit: reader.rowsMax });
    const claimed = page.filter((row) => row.userData128 !== 0n || row.userData64 !== 0n);
    const known = await records.knownPrefixes([...new Set(claimed.map(formatDigestPrefix))]);
    const unknown = claimed.filter((row) => !known.has(formatDigestPrefix(row)));
    count += unknown.length;
    first.push(...unknown.slice(0, namedMax - first.length));
    const last = page.at(-1);
    if (last === undefined || page.length < reader.rowsMax) return { count, more: false, first };
    read += page.length;
    from = last.timestamp + 1n;
  }
  return { count, more: true, first };
}

/** As checkStart, before the chart is opened. Throws ForeignLedgerError. */
export async function checkStart(ports: IdentityPorts): Promise<void> {
  const verdict = judgeStart(await lookAtStart(ports));
  if (verdict.kind === "REFUSED") throw new ForeignLedgerError(verdict.why);
}

/**
 * Writes the identity of a ledger that passed `checkStart` and has its chart now, where it is not written yet. Throws
 * ForeignLedgerError if another replica has meanwhile written that of another ledger.
 */
export async function keepIdentity({ reader, records, clusterId }: IdentityPorts): Promise<void> {
  const before = await records.read();
  const marks = before ?? noMarks;
  const { birthTimestamp, newest } = await readLedgerSigns(reader, clusterId, marks);
  if (birthTimestamp === undefined) {
    throw new Error(`the chart has no account ${marks.birthAccountId}`);
  }
  if (before === undefined) {
    await records.write({ clusterId, birthAccountId, birthTimestamp, highWaterMark: newest });
  } else if (before.birthTimestamp === undefined) {
    await records.writeBirth(birthTimestamp);
  }
  const after = await records.read();
  if (after?.birthTimestamp === birthTimestamp && after.clusterId === clusterId) return;
  throw new ForeignLedgerError(`the records belong to another ledger by now; ${identityRemedy}`);
}
