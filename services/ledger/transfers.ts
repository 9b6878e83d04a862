import { DomainError, invalidField } from "#common/domain-error.ts";
import type { TransferPredicate } from "#common/ledger/reader.ts";
import {
  type CommittedTransfer,
  formatDigestPrefix,
  isDerivedRow,
  legOf,
  transferRows,
} from "#common/ledger/transfer-rows.ts";
import { everyone, touchesOwn, visibleTo } from "#common/ledger/visibility.ts";
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

/** Reads a transfer. Throws TRANSFER_NOT_FOUND, also for one that is not the caller's to see. */
export async function getTransfer(
  view: LedgerView,
  transferId: bigint,
): Promise<CommittedTransfer> {
  const transfer = (await view.reader.findTransfers([transferId])).get(transferId);
  if (transfer === undefined || !(await isVisible(view, transfer))) {
    throw new DomainError("TRANSFER_NOT_FOUND", `there is no transfer ${transferId}`, {
      metadata: { transferId: transferId.toString() },
    });
  }
  return transfer;
}

/** A merchant's transfers are those of the intents that name him: the row alone does not say so. */
async function isVisible(
  { viewer, evidence }: LedgerView,
  transfer: CommittedTransfer,
): Promise<boolean> {
  if (viewer.merchant === undefined) return touchesOwn(viewer, transfer);
  const prefix = formatDigestPrefix(transfer);
  const attested = (await evidence.byPrefixes([prefix])).get(prefix);
  if (attested === undefined) return false;
  // A row that only copies the prefix of another intent is no leg of it.
  const row = transferRows(attested.intent, attested.attestation.digest)[
    legOf(transfer.userData32).leg
  ];
  const isLeg = row !== undefined && isDerivedRow(transfer, row);
  return isLeg && visibleTo(viewer, attested, [transfer]) !== undefined;
}

/** Lists transfers in commit order. Throws INVALID_FIELD, ACCOUNT_NOT_FOUND. */
export async function listTransfers(
  view: LedgerView,
  filter: TransferFilter,
  page: PageRequest,
): Promise<Page<CommittedTransfer>> {
  const { accountId, code } = filter;
  if (accountId === undefined && view.viewer !== everyone) {
    throw invalidField(
      "account_id",
      "account.own",
      "must name an account of the caller's own, for the credential is bound",
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
