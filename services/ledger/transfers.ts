import { DomainError, invalidField } from "#common/domain-error.ts";
import type { TransferPredicate } from "#common/ledger/reader.ts";
import type { CommittedTransfer } from "#common/ledger/transfer-rows.ts";
import type { List } from "#common/wire/page-token.ts";
import { getAccount } from "./accounts.ts";
import type { LedgerView } from "./ledger.ts";
import { formatPageToken, type Page, type PageRequest, placeOf, type Span } from "./page.ts";
import { scan } from "./scan.ts";

/** Which transfers to list; what is undefined does not matter. */
export interface TransferFilter extends Span {
  /** On either side. */
  readonly accountId: bigint | undefined;
  /** The posting rule. */
  readonly code: number | undefined;
}

/** Reads a transfer. Throws TRANSFER_NOT_FOUND, also for one that touches no account of the caller's. */
export async function getTransfer(
  view: LedgerView,
  transferId: bigint,
): Promise<CommittedTransfer> {
  const transfer = (await view.reader.findTransfers([transferId])).get(transferId);
  if (transfer === undefined || !touchesOwn(view, transfer)) {
    throw new DomainError("TRANSFER_NOT_FOUND", `there is no transfer ${transferId}`, {
      metadata: { transferId: transferId.toString() },
    });
  }
  return transfer;
}

/** True if a transfer touches an account that the caller may see. */
export function touchesOwn(
  view: LedgerView,
  transfer: Pick<CommittedTransfer, "debitAccountId" | "creditAccountId">,
): boolean {
  return view.viewer.sees(transfer.debitAccountId) || view.viewer.sees(transfer.creditAccountId);
}

/** Lists transfers in commit order. Throws INVALID_FIELD, ACCOUNT_NOT_FOUND. */
export async function listTransfers(
  view: LedgerView,
  filter: TransferFilter,
  page: PageRequest,
): Promise<Page<CommittedTransfer>> {
  const { accountId, code } = filter;
  if (accountId === undefined && view.viewer.wallet !== undefined) {
    throw invalidField(
      "account_id",
      "account.own",
      "must name an account of the wallet to which the credential is bound",
    );
  }
  if (accountId !== undefined) await getAccount(view, { accountId });
  const list: List = ["transfers", accountId, code, filter.from, filter.to];
  const { items, next } = await scan<CommittedTransfer, CommittedTransfer>({
    place: await placeOf(view, list, page, filter),
    wanted: page.pageSize,
    rowsMax: view.reader.rowsMax,
    read: (range) => view.reader.listTransfers(predicateOf(filter), range),
    pick: (rows) => (code === undefined ? rows : rows.filter((row) => row.code === code)),
  });
  return { items, nextPageToken: next === undefined ? "" : formatPageToken(view, list, next) };
}

function predicateOf({ accountId, code }: TransferFilter): TransferPredicate {
  if (accountId !== undefined) return { accountId };
  return code === undefined ? "any" : { code };
}
