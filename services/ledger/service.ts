import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { assets } from "#common/ledger/assets.ts";
import { requirePrincipal } from "#common/rpc/access/principal.ts";
import { parseU128 } from "#common/u128.ts";
import { formatAccount, parseOptionalAccountType } from "#common/wire/account.ts";
import { formatBalance } from "#common/wire/balance.ts";
import { formatNanoseconds, parseOptionalNanoseconds } from "#common/wire/timestamps.ts";
import { formatTransfer } from "#common/wire/transfer.ts";
import * as proto from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { getAccount, listAccounts } from "./accounts.ts";
import { getBalances } from "./balances.ts";
import * as codec from "./codec.ts";
import { getJournalEntry, listJournalEntries } from "./journal.ts";
import { type LedgerPorts, type LedgerView, viewLedger } from "./ledger.ts";
import { getStatement } from "./statement.ts";
import { getTransfer, listTransfers } from "./transfers.ts";
import { getTrialBalance } from "./trial-balance.ts";

type LedgerServiceImpl = ServiceImpl<typeof proto.LedgerService>;

/** The LedgerService over the core. */
export function createLedgerService(ports: LedgerPorts): LedgerServiceImpl {
  const viewOf = (ctx: HandlerContext): LedgerView =>
    viewLedger(ports, requirePrincipal(ctx), ctx.signal);
  return { ...accountMethods(viewOf), ...transferMethods(viewOf) };
}

type ViewOf = (ctx: HandlerContext) => LedgerView;

function accountMethods(viewOf: ViewOf) {
  return {
    listAssets: () =>
      create(proto.ListAssetsResponseSchema, { assets: assets.map(codec.formatAsset) }),

    async listAccounts(request, ctx) {
      const filter = {
        code: request.filter?.code || undefined,
        wallet: codec.parseOptionalWallet(request.filter?.wallet ?? "", "filter.wallet"),
        type: parseOptionalAccountType(request.filter?.type ?? 0),
      };
      const page = await listAccounts(viewOf(ctx), filter, codec.parsePage(request));
      return create(proto.ListAccountsResponseSchema, {
        accounts: page.items.map(formatAccount),
        nextPageToken: page.nextPageToken,
      });
    },

    async getAccount(request, ctx) {
      const account = await getAccount(viewOf(ctx), codec.parseSelector(request));
      return create(proto.GetAccountResponseSchema, { account: formatAccount(account) });
    },

    async getBalance(request, ctx) {
      const selector = codec.parseSelector(request);
      const asOf = parseOptionalNanoseconds(request.asOfTime, "as_of_time");
      const [balance] = await getBalances(viewOf(ctx), [selector], asOf);
      return create(proto.GetBalanceResponseSchema, {
        ...(balance && { balance: formatBalance(balance) }),
      });
    },

    async batchGetBalances(request, ctx) {
      const selectors = codec.parseSelectors(request);
      const asOf = parseOptionalNanoseconds(request.asOfTime, "as_of_time");
      const balances = await getBalances(viewOf(ctx), selectors, asOf);
      return create(proto.BatchGetBalancesResponseSchema, {
        balances: balances.map(formatBalance),
      });
    },

    async getStatement(request, ctx) {
      const accountId = parseU128(request.accountId, "account_id");
      const statement = await getStatement(
        viewOf(ctx),
        accountId,
        codec.parseSpan(request),
        codec.parsePage(request),
      );
      return create(proto.GetStatementResponseSchema, {
        account: formatAccount(statement.account),
        openingBalance: statement.openingBalance.toString(),
        lines: statement.lines.map(codec.formatStatementLine),
        closingBalance: statement.closingBalance.toString(),
        toTime: formatNanoseconds(statement.to),
        nextPageToken: statement.nextPageToken,
      });
    },

    async getTrialBalance(request, ctx) {
      const asOf = parseOptionalNanoseconds(request.asOfTime, "as_of_time");
      return codec.formatTrialBalance(await getTrialBalance(viewOf(ctx), request.ledger, asOf));
    },
  } satisfies Partial<LedgerServiceImpl>;
}

function transferMethods(viewOf: ViewOf) {
  return {
    async getTransfer(request, ctx) {
      const transferId = parseU128(request.transferId, "transfer_id");
      const transfer = await getTransfer(viewOf(ctx), transferId);
      return create(proto.GetTransferResponseSchema, { transfer: formatTransfer(transfer) });
    },

    async listTransfers(request, ctx) {
      const filter = {
        ...codec.parseSpan(request),
        accountId:
          request.accountId === "" ? undefined : parseU128(request.accountId, "account_id"),
        code: request.code || undefined,
      };
      const page = await listTransfers(viewOf(ctx), filter, codec.parsePage(request));
      return create(proto.ListTransfersResponseSchema, {
        transfers: page.items.map(formatTransfer),
        nextPageToken: page.nextPageToken,
      });
    },

    async getJournalEntry(request, ctx) {
      const entry = await getJournalEntry(viewOf(ctx), request.intentId);
      return create(proto.GetJournalEntryResponseSchema, {
        journalEntry: codec.formatJournalEntry(entry),
      });
    },

    async listJournalEntries(request, ctx) {
      const filter = {
        ...codec.parseSpan(request),
        wallet: codec.parseOptionalWallet(request.wallet, "wallet"),
      };
      const page = await listJournalEntries(viewOf(ctx), filter, codec.parsePage(request));
      return create(proto.ListJournalEntriesResponseSchema, {
        journalEntries: page.items.map(codec.formatJournalEntry),
        nextPageToken: page.nextPageToken,
      });
    },
  } satisfies Partial<LedgerServiceImpl>;
}
