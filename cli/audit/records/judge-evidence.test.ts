// Goal: what was lost is told from what was never written, by what has been seen of the ledger and by nothing else.
// Method: the judgement alone, in a world whose seconds are counted from 0; 300 of them are how far clocks may be apart.
import { describe, expect, it } from "vitest";
import { endOfTime } from "#common/ledger/reader.ts";
import type { Gap, KnownAdoption } from "./gap.ts";
import { judgeUnwritten, type LedgerStanding } from "./judge-evidence.ts";
import type { Acknowledgement, EvidenceEntry } from "./ports.ts";

const seconds = (count: number) => BigInt(count) * 1_000_000_000n;

function evidence(stored: number, expires: number, failed?: number): EvidenceEntry {
  return {
    intentId: "0193b7f0-0000-7000-8000-000000000000",
    digest: `0x${"11".repeat(32)}`,
    legs: 1,
    storedNs: seconds(stored),
    expireNs: seconds(expires),
    failure:
      failed === undefined
        ? undefined
        : { reason: "INSUFFICIENT_FUNDS", failedNs: seconds(failed) },
  };
}

const standing = (now: number, more: Partial<LedgerStanding> = {}): LedgerStanding => ({
  gap: undefined,
  adoptions: [],
  nowNs: seconds(now),
  ...more,
});
const gap = (from: number, to?: number): Gap => ({
  from: seconds(from),
  to: to === undefined ? endOfTime : seconds(to),
  why: "",
});
const adoption = (at: number, lostFrom = 0): KnownAdoption => ({
  adoptNs: seconds(at),
  oldBirth: undefined,
  oldMark: undefined,
  lostFrom: seconds(lostFrom),
});
const told = (at: number): Acknowledgement => ({ by: "Checkout was told so", ns: seconds(at) });

const judge = (
  entry: EvidenceEntry,
  where: LedgerStanding,
  acknowledgement?: Acknowledgement,
  isInSums = false,
) => judgeUnwritten(entry, { acknowledgement, isInSums }, where);

describe("in a ledger that is whole", () => {
  it("evidence is alive until its intent has expired by every clock, and then was never written", () => {
    const entry = evidence(1_000, 2_000);
    expect(judge(entry, standing(2_300)).kind).toBe("ALIVE");
    expect(judge(entry, standing(2_301)).kind).toBe("NEVER_WRITTEN");
  });

  it("a recorded failure is its end", () => {
    expect(judge(evidence(1_000, 9_000, 1_001), standing(2_000)).kind).toBe("FAILED");
  });

  it("one that somebody was told of is lost, whatever else is recorded", () => {
    for (const entry of [evidence(1_000, 9_000), evidence(1_000, 1_100, 1_001)]) {
      expect(judge(entry, standing(5_000), told(1_002))).toEqual({
        kind: "LOST",
        why: "it was in the ledger: Checkout was told so",
      });
    }
  });

  it("one that the sums of its accounts hold is lost", () => {
    const fate = judge(evidence(1_000, 9_000), standing(2_000), undefined, true);
    expect(fate).toEqual({ kind: "LOST", why: expect.stringContaining("what no transfer") });
  });
});

describe("in a ledger that has lost rows", () => {
  it.each<[string, string, EvidenceEntry, Gap]>([
    ["stored in the lost time", "LOST", evidence(5_000, 5_100), gap(4_000)],
    ["stored before it, and valid in it", "LOST", evidence(3_000, 4_500), gap(4_000)],
    ["expired before it began", "NEVER_WRITTEN", evidence(3_000, 3_700), gap(4_000)],
    ["stored after it had ended", "NEVER_WRITTEN", evidence(6_301, 6_400), gap(4_000, 6_000)],
    ["stored just as it ended", "LOST", evidence(6_300, 6_400), gap(4_000, 6_000)],
    ["failed in it", "FAILED", evidence(5_000, 5_100, 5_001), gap(4_000)],
  ])("evidence that was %s is %s", (_, kind, entry, lost) => {
    expect(judge(entry, standing(9_000, { gap: lost })).kind).toBe(kind);
  });

  it("says which time is lost", () => {
    const fate = judge(evidence(5_000, 5_100), standing(9_000, { gap: gap(4_000, 6_000) }));
    expect(fate).toMatchObject({
      why: expect.stringMatching(/after .*01:06:40.* until .*01:40:00/),
    });
  });
});

describe("after an adoption", () => {
  it("what may have been in what it gave up is counted as that, alive or not", () => {
    const adoptions = [adoption(5_000, 4_000)];
    for (const now of [5_100, 99_000]) {
      const where = standing(now, { adoptions });
      const given = { kind: "GIVEN_UP", by: adoptions[0] };
      expect(judge(evidence(4_500, 8_000), where)).toEqual(given);
      expect(judge(evidence(3_000, 4_100), where)).toEqual(given);
      expect(judge(evidence(4_500, 4_600), where, told(4_501))).toEqual(given);
    }
    const later = standing(99_000, { adoptions });
    expect(judge(evidence(3_000, 3_600), later).kind).toBe("NEVER_WRITTEN");
    expect(judge(evidence(5_001, 5_100), later).kind).toBe("NEVER_WRITTEN");
    expect(judge(evidence(5_001, 5_100), later, told(5_002)).kind).toBe("LOST");
  });

  it("what is lost anew is not given up by it, and what was given up is not lost anew", () => {
    const where = standing(9_000, { adoptions: [adoption(5_000, 1_000)], gap: gap(7_000) });
    expect(judge(evidence(4_000, 4_100), where).kind).toBe("GIVEN_UP");
    expect(judge(evidence(4_000, 4_100), where, told(4_001)).kind).toBe("GIVEN_UP");
    expect(judge(evidence(4_000, 7_500), where).kind).toBe("LOST");
    expect(judge(evidence(7_400, 7_500), where, told(7_401)).kind).toBe("LOST");
    // With the whole ledger gone nobody can tell any more what an adoption had given up before.
    const gone = standing(9_000, { adoptions: [adoption(5_000)], gap: gap(0) });
    expect(judge(evidence(4_000, 4_100), gone).kind).toBe("LOST");
  });
});
