// Goal: the records are read page by page, whole and in bounded memory, however many rows there are and whatever comes
// meanwhile. Method: records and a ledger that are made up page by page, and count what was asked of them.
import { expect, it } from "vitest";
import type { CommittedTransfer } from "#common/ledger/transfer-rows.ts";
import { digestPrefix, transferId } from "#common/ledger/transfer-rows.ts";
import type { Finding } from "../finding.ts";
import { auditRecords, type RecordsAuditOptions } from "./audit-records.ts";
import { type EvidenceEntry, firstId, type OrderEntry, type RecordsReader } from "./ports.ts";

const rowsMax = 512;
const digest = `0x${"11".repeat(32)}`;
const idOf = (number: number) => `0193b7f0-0000-7000-8000-${number.toString(16).padStart(12, "0")}`;
const numberOf = (id: string) => (id === firstId ? -1 : Number.parseInt(id.slice(-12), 16));

function entry(number: number, legs: number): EvidenceEntry {
  const times = { storedNs: 1_000n, expireNs: 2_000n };
  return { intentId: idOf(number), digest, legs, ...times, failure: undefined };
}

function leg(intentId: string, number: number, legs: number): CommittedTransfer {
  return {
    id: transferId(intentId, number),
    debitAccountId: 1n,
    creditAccountId: 2n,
    amount: 1n,
    pendingId: 0n,
    ...digestPrefix(digest),
    userData32: (legs << 16) | number,
    timeout: 0,
    ledger: 1,
    code: 1,
    phase: "IMMEDIATE",
    linked: false,
    timestamp: 1_500n,
    foreignFlags: 0,
  };
}

/** Records of so many rows of each kind, which exist only while a page of them is asked for. */
function recordsOf(count: number, more: Partial<RecordsReader> = {}) {
  const asked = { pages: 0, rows: 0 };
  const page = <Row>(after: string, limit: number, make: (number: number) => Row): Row[] => {
    const first = numberOf(after) + 1;
    const size = Math.max(0, Math.min(limit, count - first));
    asked.pages += 1;
    asked.rows = Math.max(asked.rows, size);
    return Array.from({ length: size }, (_, index) => make(first + index));
  };
  const order = (number: number): OrderEntry => ({
    checkoutId: idOf(number),
    merchantId: "market-1",
    orderId: `A-${number}`,
    state: "CLEARED",
    changeNs: 1n,
    isPurchased: true,
    isRefunded: false,
    isBacked: true,
  });
  const records: RecordsReader = {
    identity: async () => undefined,
    adoptions: async () => [],
    hasEvidence: async () => true,
    evidence: async (after, limit) => page(after, limit, (number) => entry(number, 1)),
    acknowledged: async () => new Map(),
    accountsOf: async () => new Map(),
    orders: async (after, limit) => page(after, limit, order),
    attempts: async (after, limit) =>
      page(after, limit, (number) => ({
        ...order(number),
        ...entry(number, 1),
        orderState: "CLEARED",
        kind: "PURCHASE",
        state: "CLEARED",
        commitNs: 1_500n,
        createNs: 1n,
        evidenceDigest: digest,
      })),
    ...more,
  };
  return { records, asked };
}

async function audit(
  records: RecordsReader,
  findTransfers: RecordsAuditOptions["ledger"]["findTransfers"],
  more: Partial<RecordsAuditOptions> = {},
) {
  const findings: Finding[] = [];
  const result = await auditRecords({
    records,
    ledger: { findTransfers },
    standing: { gap: undefined, adoptions: [], nowNs: 10n ** 18n },
    trusted: { to: 0n, hasTold: () => false },
    differing: new Set(),
    rowsMax,
    tell: (finding) => findings.push(finding),
    onProgress: () => undefined,
    ...more,
  });
  return { ...result, findings };
}

/** A ledger that holds every leg that is asked for. */
const holdsAll = async (ids: readonly bigint[]) =>
  new Map(ids.map((id) => [id, { ...leg(idOf(0), 0, 1), id }]));

it("reads any number of rows a page at a time", async () => {
  const count = 20_000;
  const { records, asked } = recordsOf(count);
  let idsMax = 0;
  const result = await audit(records, async (ids) => {
    idsMax = Math.max(idsMax, ids.length);
    return holdsAll(ids);
  });
  expect(result).toMatchObject({ evidence: count, orders: count, findings: [] });
  expect(result.evidenceCounts).toMatchObject({ cleared: count, lost: 0 });
  expect(asked).toEqual({ pages: 3 * Math.ceil(count / rowsMax), rows: rowsMax });
  expect(idsMax).toBe(rowsMax);
});

it("never looks up many pages' worth of the largest intents at once", async () => {
  let idsMax = 0;
  const evidence = async (after: string) =>
    after === firstId ? Array.from({ length: rowsMax }, (_, number) => entry(number, 64)) : [];
  const { records } = recordsOf(0, { evidence });
  const result = await audit(records, async (ids) => {
    idsMax = Math.max(idsMax, ids.length);
    return new Map();
  });
  expect(result.evidenceCounts.neverWritten).toBe(rowsMax);
  expect(idsMax).toBe(4_096);
});

it("ends at a page that is full to the last row", async () => {
  const { records } = recordsOf(2 * rowsMax);
  expect(await audit(records, holdsAll)).toMatchObject({ evidence: 2 * rowsMax, findings: [] });
});

it("tells of a chain in part only where nobody reads its transfers again", async () => {
  const whole = entry(1, 3);
  const { records } = recordsOf(0, {
    evidence: async (after) => (after === firstId ? [whole] : []),
  });
  const first = leg(whole.intentId, 0, 3);
  const inPart = async () => new Map([[first.id, first]]);
  expect((await audit(records, inPart)).findings).toEqual([]);
  const trusted = { to: 1_500n, hasTold: () => false };
  expect((await audit(records, inPart, { trusted })).findings).toMatchObject([
    { kind: "CHAIN_INCOMPLETE", intentId: whole.intentId },
  ]);
  const told = { to: 1_500n, hasTold: () => true };
  const result = await audit(records, inPart, { trusted: told });
  expect([result.findings, result.evidenceCounts.inPart]).toEqual([[], 1]);
});

it("suspects what would move between accounts whose sums are off, and nothing else", async () => {
  const entries = [entry(1, 1), entry(2, 1)];
  const accounts = new Map([
    [idOf(1), [7n, 8n]],
    [idOf(2), [7n, 9n]],
  ]);
  const { records } = recordsOf(0, {
    evidence: async (after) => (after === firstId ? entries : []),
    accountsOf: async () => accounts,
  });
  const nothing = async () => new Map();
  const { findings } = await audit(records, nothing, { differing: new Set([7n, 8n]) });
  expect(findings).toMatchObject([{ kind: "TRANSFERS_LOST", intentId: idOf(1) }]);
});

it("takes a failure for a contradiction if it cleared, unless a ledger was adopted since", async () => {
  const failure = { reason: "INSUFFICIENT_FUNDS", failedNs: 1_200n };
  const { records } = recordsOf(0, {
    evidence: async (after) => (after === firstId ? [{ ...entry(1, 1), failure }] : []),
  });
  const row = leg(idOf(1), 0, 1);
  const there = async () => new Map([[row.id, row]]);
  expect((await audit(records, there)).findings).toMatchObject([
    { kind: "CLEARED_THOUGH_FAILED", intentId: idOf(1) },
  ]);
  const adoption = { adoptNs: 1_300n, oldBirth: undefined, oldMark: undefined, lostFrom: 0n };
  const standing = { gap: undefined, adoptions: [adoption], nowNs: 10n ** 18n };
  expect((await audit(records, there, { standing })).findings).toEqual([]);
});
