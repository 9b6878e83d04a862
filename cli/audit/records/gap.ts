import {
  identityFault,
  type LedgerIdentity,
  type LedgerSigns,
  nanosecondsText,
} from "#common/ledger/identity.ts";
import { endOfTime, type LedgerReader } from "#common/ledger/reader.ts";
import type { Adoption } from "./ports.ts";

/** The span of time of which the ledger has lost rows, in whole or in part: after `from`, up to `to`. Nanoseconds. */
export interface Gap {
  readonly from: bigint;
  readonly to: bigint;
  /** Why the ledger is not what the records have seen, with both values. */
  readonly why: string;
}

/**
 * What the ledger lacks of what the records have seen of it; undefined if it is theirs and whole. One that was put back
 * as it was before has lost its tail: what came after its newest row; or, if it has gone on since, what came between the
 * last row that it still has up to the mark and the first of its new life. Another ledger has lost everything.
 * `identity` must have been read before the signs were. LEDGER_UNAVAILABLE.
 */
export async function findGap(
  ledger: LedgerReader,
  identity: LedgerIdentity | undefined,
  signs: LedgerSigns,
  hasEvidence: boolean,
): Promise<Gap | undefined> {
  if (identity === undefined) {
    if (!hasEvidence || signs.birthTimestamp !== undefined) return undefined;
    const why = "the records hold evidence, and the ledger is empty: it was lost, or is another";
    return { from: 0n, to: endOfTime, why };
  }
  const why = identityFault(identity, signs);
  if (why === undefined) return undefined;
  const { birthTimestamp, clusterId, highWaterMark } = identity;
  const isOther =
    clusterId !== signs.clusterId ||
    (birthTimestamp !== undefined && birthTimestamp !== signs.birthTimestamp);
  if (isOther) return { from: 0n, to: endOfTime, why };
  if (signs.newest < highWaterMark) return { from: signs.newest, to: endOfTime, why };
  const from = await newestUpTo(ledger, highWaterMark);
  return { from, to: await firstAfter(ledger, highWaterMark), why };
}

/** An adoption, and from when on what the records hold may have been lost with the ledger before it. Nanoseconds. */
export interface KnownAdoption extends Adoption {
  readonly lostFrom: bigint;
}

/**
 * Finds what adoptions have given up: where the ledger before was another, or nobody knew which, everything that this
 * one does not hold; else what came after the last row, up to the mark of then, that this one still has.
 */
export async function knowAdoptions(
  ledger: LedgerReader,
  adoptions: readonly Adoption[],
  birthTimestamp: bigint | undefined,
): Promise<KnownAdoption[]> {
  const known: KnownAdoption[] = [];
  for (const adoption of adoptions) {
    const { oldBirth, oldMark } = adoption;
    const isSame = oldBirth !== undefined && oldBirth === birthTimestamp;
    const lostFrom = isSame && oldMark !== undefined ? await newestUpTo(ledger, oldMark) : 0n;
    known.push({ ...adoption, lostFrom });
  }
  return known;
}

async function newestUpTo(ledger: LedgerReader, to: bigint): Promise<bigint> {
  const range = { from: 1n, to, limit: 1 };
  const [[transfer], [account]] = await Promise.all([
    ledger.newestTransfers("any", range),
    ledger.newestAccounts(range),
  ]);
  const [first = 0n, second = 0n] = [transfer?.timestamp, account?.timestamp];
  return first > second ? first : second;
}

async function firstAfter(ledger: LedgerReader, after: bigint): Promise<bigint> {
  const range = { from: after + 1n, to: endOfTime, limit: 1 };
  const [[transfer], [account]] = await Promise.all([
    ledger.listTransfers("any", range),
    ledger.listAccounts("any", range),
  ]);
  const [first = endOfTime, second = endOfTime] = [transfer?.timestamp, account?.timestamp];
  return first < second ? first : second;
}

/** A gap in words. */
export function gapText({ from, to }: Gap): string {
  if (from === 0n) return "this ledger holds nothing of what the records have seen";
  const until = to === endOfTime ? "" : ` until ${nanosecondsText(to)}`;
  return `the ledger has lost what came after ${nanosecondsText(from)}${until}`;
}
