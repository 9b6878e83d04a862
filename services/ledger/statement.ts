import { accountType } from "#common/ledger/account.ts";
import type { AccountRecord } from "#common/ledger/reader.ts";
import type { CommittedTransfer } from "#common/ledger/transfer-rows.ts";
import type { List } from "#common/wire/page-token.ts";
import { getAccount } from "./accounts.ts";
import { postedAt } from "./balances.ts";
import type { LedgerView } from "./ledger.ts";
import { formatPageToken, type PageRequest, placeOf, type Span } from "./page.ts";
import { scan } from "./scan.ts";

/** One posted movement. */
export interface StatementLine {
  readonly transfer: CommittedTransfer;
  /** What it did to the posted balance on the account's normal side; negative for a decrease. */
  readonly change: bigint;
  /** The posted balance after it. */
  readonly balance: bigint;
}

/** A page of what moved on an account. */
export interface Statement {
  readonly account: AccountRecord;
  /** The posted balance before the first line of the first page. */
  readonly openingBalance: bigint;
  readonly lines: readonly StatementLine[];
  /** The posted balance after the last line of the last page. */
  readonly closingBalance: bigint;
  /** Nanoseconds, exclusive. */
  readonly to: bigint;
  readonly nextPageToken: string;
}

/** Reads a page of an account's statement. Throws INVALID_FIELD, ACCOUNT_NOT_FOUND. */
export async function getStatement(
  view: LedgerView,
  accountId: bigint,
  span: Span,
  page: PageRequest,
): Promise<Statement> {
  const { reader } = view;
  const account = await getAccount(view, { accountId });
  const list: List = ["statement", accountId, span.from, span.to];
  const place = await placeOf(view, list, page, span);
  const [openingBalance, closingBalance, balanceBefore, { items, next }] = await Promise.all([
    postedAt(reader, account, (span.from ?? 1n) - 1n),
    postedAt(reader, account, place.to),
    postedAt(reader, account, place.after),
    scan<CommittedTransfer, CommittedTransfer>({
      place,
      wanted: page.pageSize,
      rowsMax: reader.rowsMax,
      read: (range) => reader.listTransfers({ accountId }, range),
      // Reservations and their voids move nothing.
      pick: (rows) =>
        rows.filter((row) => row.phase === "IMMEDIATE" || row.phase === "POST_PENDING"),
    }),
  ]);
  return {
    account,
    openingBalance,
    lines: statementLines(account, items, balanceBefore),
    closingBalance,
    to: place.to + 1n,
    nextPageToken: next === undefined ? "" : formatPageToken(view, list, next),
  };
}

function statementLines(
  account: AccountRecord,
  transfers: readonly CommittedTransfer[],
  balanceBefore: bigint,
): StatementLine[] {
  const isAsset = accountType(account) === "ASSET";
  let balance = balanceBefore;
  return transfers.map((transfer) => {
    const increases = (transfer.debitAccountId === account.id) === isAsset;
    const change = increases ? transfer.amount : -transfer.amount;
    balance += change;
    return { transfer, change, balance };
  });
}
