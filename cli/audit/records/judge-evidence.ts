import { clockSkewSeconds } from "#common/intent/rules.ts";
import { type Gap, gapText, type KnownAdoption } from "./gap.ts";
import type { Acknowledgement, EvidenceEntry } from "./ports.ts";

/**
 * What became of evidence of which the ledger holds no transfer.
 *
 * Evidence is stored before the ledger is touched, so a good deal of it never gets there and nobody is the poorer: the
 * caller's time was over first (NOT_SENT), the process died in between, the intent expired. Of one that cleared and was
 * then lost with the ledger the records look the same, for Clearing writes nothing after the ledger: that is what makes
 * it safe. What tells the two apart is what has been seen of the ledger from outside:
 *
 * - The mark. Clearing keeps the time of the newest row that it saw, and a ledger loses rows only from its end: a copy
 *   that is put back lacks its tail, and with it the row of the mark, whatever is written to it later. So where that row
 *   is there, nothing that was committed up to it is missing, and where it is not, the gap is known. Whatever may have
 *   committed inside the gap counts as lost: its evidence was stored before the gap ended, and it expired after it began.
 * - The sums. A row taken out of the middle leaves its amount in its accounts: where those hold what no transfer of
 *   theirs makes, evidence that would move between them counts as lost.
 * - What others were told. Checkout writes down of each intent when it cleared. A POST or VOID that failed because its
 *   reservation had been posted, voided or had expired says that the reservation was in the ledger.
 *
 * With none of these against it, evidence is alive as long as its intent may still clear, and otherwise was never
 * written. What cannot be told: an intent that cleared after the last mark that was kept (about a second, and none where
 * Clearing was stopped in order), that nobody but the caller heard of, in a ledger that was put back before it.
 *
 * Whoever adopts a ledger gives up what it does not hold. That is not told anew for ever: what was stored before an
 * adoption, and may have committed in what was lost then, is counted as given up by it, until it clears again.
 */
export type Fate =
  | { readonly kind: "FAILED" | "ALIVE" | "NEVER_WRITTEN" }
  | { readonly kind: "GIVEN_UP"; readonly by: KnownAdoption }
  | { readonly kind: "LOST"; readonly why: string };

/** What the ledger as a whole tells. */
export interface LedgerStanding {
  readonly gap: Gap | undefined;
  /** Oldest first. */
  readonly adoptions: readonly KnownAdoption[];
  /** The ledger's clock, nanoseconds. */
  readonly nowNs: bigint;
}

/** What tells that an intent was, or may have been, in the ledger. */
export interface SignsOfClearing {
  readonly acknowledgement: Acknowledgement | undefined;
  /** True if every account of its postings holds something else than its transfers make. */
  readonly isInSums: boolean;
}

/** How far the clocks of PostgreSQL, Clearing and the ledger may be apart, nanoseconds. */
export const skewNs = clockSkewSeconds * 1_000_000_000n;

/** Judges evidence without transfers. Pure. */
export function judgeUnwritten(
  entry: EvidenceEntry,
  { acknowledgement, isInSums }: SignsOfClearing,
  standing: LedgerStanding,
): Fate {
  const { gap, adoptions, nowNs } = standing;
  if (acknowledgement !== undefined) {
    const { by, ns } = acknowledgement;
    const adoption = givenUpBy(ns, standing);
    return adoption === undefined
      ? { kind: "LOST", why: `it was in the ledger: ${by}` }
      : { kind: "GIVEN_UP", by: adoption };
  }
  if (entry.failure !== undefined) return { kind: "FAILED" };
  const window = { from: entry.storedNs - skewNs, to: entry.expireNs + skewNs };
  if (gap !== undefined && window.from <= gap.to && window.to > gap.from) {
    const adoption = adoptions.find(
      ({ adoptNs, lostFrom }) => gap.from > 0n && window.from > lostFrom && window.to <= adoptNs,
    );
    if (adoption !== undefined) return { kind: "GIVEN_UP", by: adoption };
    return { kind: "LOST", why: `it may have cleared: ${gapText(gap)}` };
  }
  if (isInSums) {
    return {
      kind: "LOST",
      why: "it may have cleared: its accounts hold what no transfer of theirs makes",
    };
  }
  const adoption = adoptions.find(
    ({ adoptNs, lostFrom }) => entry.storedNs <= adoptNs && window.to > lostFrom,
  );
  if (adoption !== undefined) return { kind: "GIVEN_UP", by: adoption };
  return { kind: nowNs <= window.to ? "ALIVE" : "NEVER_WRITTEN" };
}

/**
 * The adoption that gave up what was in the ledger at an instant (nanoseconds) and is not in this one; undefined if none
 * did, or if it may have been lost anew.
 */
export function givenUpBy(
  ns: bigint,
  { gap, adoptions }: LedgerStanding,
): KnownAdoption | undefined {
  if (gap !== undefined && ns > gap.from && ns <= gap.to) return undefined;
  return adoptions.find(({ adoptNs }) => ns <= adoptNs);
}
