import { DomainError } from "#common/domain-error.ts";
import { type AttestedIntent, postingsMax } from "#common/intent/intent.ts";
import type { Range } from "#common/ledger/reader.ts";
import {
  type CommittedTransfer,
  formatDigestPrefix,
  isDerivedRow,
  legOf,
  transferId,
  transferRows,
} from "#common/ledger/transfer-rows.ts";
import { visibleTo } from "#common/ledger/visibility.ts";
import { walletAccountIds } from "#common/ledger/wallet-account.ts";
import type { List } from "#common/wire/page-token.ts";
import type { LedgerView } from "./ledger.ts";
import { formatPageToken, type Page, type PageRequest, placeOf, type Span } from "./page.ts";
import { scan } from "./scan.ts";

/** A chain of transfers with the evidence that authorised it, as far as the caller may see both. */
export interface JournalEntry extends AttestedIntent {
  /** In the order of the legs: the caller's own. */
  readonly lines: readonly CommittedTransfer[];
  /** How many legs there are. */
  readonly legCount: number;
  /** Whether anything is kept from the caller. */
  readonly masked: boolean;
  /** The commit time: that of the last line, nanoseconds. */
  readonly timestamp: bigint;
}

/** Which entries to list; what is undefined does not matter. */
export interface JournalFilter extends Span {
  /** EIP-55: entries with a line on an account of this wallet. */
  readonly wallet: string | undefined;
}

/**
 * The most lines of a page, whatever its size: 64 lines each would make a page of 1000 entries larger than what
 * clients take in one message.
 */
const linesMax = 4_096;

/**
 * Reads the entry of an intent. Throws INTENT_NOT_FOUND without evidence, without its whole chain in the ledger, or
 * if it is not the caller's to see.
 */
export async function getJournalEntry(view: LedgerView, intentId: string): Promise<JournalEntry> {
  const evidence = await view.evidence.byIntentId(intentId);
  const [entry] = evidence === undefined ? [] : await joinEntries(view, [evidence]);
  if (entry === undefined) {
    throw new DomainError("INTENT_NOT_FOUND", `there is no journal entry of intent ${intentId}`, {
      metadata: { intentId },
    });
  }
  return entry;
}

/** Lists entries in commit order. Throws INVALID_FIELD. */
export async function listJournalEntries(
  view: LedgerView,
  filter: JournalFilter,
  page: PageRequest,
): Promise<Page<JournalEntry>> {
  const { wallet, from } = filter;
  const list: List = ["journal", wallet, from, filter.to];
  const place = await placeOf(view, list, page, filter);
  const { items, next } = await scan<CommittedTransfer, JournalEntry>({
    // The line that touches a wallet may come before the entry's last, which is what the span is about.
    place: page.pageToken === "" ? { ...place, after: earlier(place.after) } : place,
    wanted: page.pageSize,
    rowsMax: view.reader.rowsMax,
    read: transferSource(view, wallet),
    pick: async (rows) => {
      const entries = await entriesOf(view, rows);
      return entries.filter(
        (entry) =>
          entry.timestamp >= (from ?? 0n) &&
          entry.timestamp <= place.to &&
          (wallet === undefined || touchesWallet(entry, wallet)),
      );
    },
  });
  const fitting = withinLines(items);
  const last = fitting.at(-1);
  const rest =
    last !== undefined && fitting.length < items.length
      ? { after: last.timestamp, to: place.to }
      : next;
  return {
    items: fitting,
    nextPageToken: rest === undefined ? "" : formatPageToken(view, list, rest),
  };
}

/** True if an account of a wallet stands on a side of what the caller sees. */
function touchesWallet({ lines }: JournalEntry, wallet: string): boolean {
  const ids = walletAccountIds(wallet);
  return lines.some(
    ({ debitAccountId, creditAccountId }) =>
      ids.includes(debitAccountId) || ids.includes(creditAccountId),
  );
}

/** The legs of a chain have consecutive timestamps: the first lies at most 63 ns before the last. */
function earlier(after: bigint): bigint {
  const distance = BigInt(postingsMax - 1);
  return after > distance ? after - distance : 0n;
}

function withinLines(entries: readonly JournalEntry[]): readonly JournalEntry[] {
  let lines = 0;
  const end = entries.findIndex((entry) => {
    lines += entry.lines.length;
    return lines > linesMax;
  });
  return end <= 0 ? entries : entries.slice(0, end);
}

/**
 * All transfers, or those that touch a wallet's accounts merged in commit order. A merchant's are all: where he could
 * ask for a wallet's, the length of the list would tell him what of it is not his.
 */
function transferSource(
  view: LedgerView,
  filterWallet: string | undefined,
): (range: Range) => Promise<CommittedTransfer[]> {
  const { reader, viewer } = view;
  const wallet = filterWallet ?? viewer.wallet;
  if (wallet === undefined || viewer.merchant !== undefined)
    return (range) => reader.listTransfers("any", range);
  const accountIds = walletAccountIds(wallet).filter((id) => viewer.sees(id));
  return async (range) => {
    const parts = await Promise.all(
      accountIds.map((accountId) => reader.listTransfers({ accountId }, range)),
    );
    // A part that is full says nothing about what comes after its end: the others wait there.
    let horizon = range.to;
    for (const part of parts) {
      const end = part.at(-1)?.timestamp ?? range.to;
      if (part.length >= range.limit && end < horizon) horizon = end;
    }
    return parts
      .flat()
      .filter((row) => row.timestamp <= horizon)
      .sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1));
  };
}

/** The entries that the given rows are legs of, in commit order. Rows that no evidence stands for are left out. */
async function entriesOf(
  view: LedgerView,
  rows: readonly CommittedTransfer[],
): Promise<JournalEntry[]> {
  const prefixes = new Set(rows.map(formatDigestPrefix));
  const found = await view.evidence.byPrefixes([...prefixes]);
  const attested = new Set<AttestedIntent>();
  for (const row of rows) {
    const evidence = found.get(formatDigestPrefix(row));
    if (evidence === undefined) continue;
    // A row that only copies the prefix of another intent is no leg of it.
    const { leg } = legOf(row.userData32);
    if (transferId(evidence.intent.intentId, leg) === row.id) attested.add(evidence);
  }
  const entries = await joinEntries(view, [...attested]);
  return entries.sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1));
}

/**
 * Joins evidence with its chains, and keeps of both what the caller may see. Evidence without its whole and equal chain
 * in the ledger makes no entry.
 */
async function joinEntries(
  view: LedgerView,
  evidence: readonly AttestedIntent[],
): Promise<JournalEntry[]> {
  const chains = evidence.map(({ intent, attestation }) =>
    transferRows(intent, attestation.digest),
  );
  const found = await view.reader.findTransfers(chains.flat().map((row) => row.id));
  return evidence.flatMap((attested, index) => {
    const expected = chains[index] ?? [];
    const lines = expected.flatMap((row) => {
      const line = found.get(row.id);
      return line !== undefined && isDerivedRow(line, row) ? [line] : [];
    });
    const last = lines.at(-1);
    if (last === undefined || lines.length !== expected.length) return [];
    const visible = visibleTo(view.viewer, attested, lines);
    if (visible?.evidence === undefined) return [];
    const { masked, legs, legCount } = visible;
    return [{ ...visible.evidence, lines: legs, legCount, masked, timestamp: last.timestamp }];
  });
}
