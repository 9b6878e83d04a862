import { create } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { parseWallet } from "#common/address.ts";
import { formatAttestation, formatPhase } from "#common/intent/codec.ts";
import type { Asset } from "#common/ledger/assets.ts";
import type { Sums } from "#common/ledger/sums-at.ts";
import { formatU128, parseU128 } from "#common/u128.ts";
import { formatNanoseconds, parseOptionalNanoseconds } from "#common/wire/timestamps.ts";
import { formatTransfer } from "#common/wire/transfer.ts";
import { type Asset as AssetProto, AssetSchema } from "#gen/sovr/ledger/v1/asset_pb.ts";
import {
  type JournalEntry as JournalEntryProto,
  JournalEntrySchema,
} from "#gen/sovr/ledger/v1/journal_entry_pb.ts";
import {
  type GetTrialBalanceResponse,
  GetTrialBalanceResponseSchema,
} from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import {
  type StatementLine as StatementLineProto,
  StatementLineSchema,
} from "#gen/sovr/ledger/v1/statement_pb.ts";
import { type AccountSelector, checkLedger } from "./accounts.ts";
import type { JournalEntry } from "./journal.ts";
import type { PageRequest, Span } from "./page.ts";
import type { StatementLine } from "./statement.ts";
import type { TrialBalance } from "./trial-balance.ts";

const pageSizeDefault = 100;

/** Reads which page a request asks for. */
export function parsePage(request: { pageSize: number; pageToken: string }): PageRequest {
  return {
    pageSize: request.pageSize === 0 ? pageSizeDefault : request.pageSize,
    pageToken: request.pageToken,
  };
}

/** Reads the span of time of a request. Throws INVALID_FIELD. */
export function parseSpan(request: {
  fromTime?: Timestamp | undefined;
  toTime?: Timestamp | undefined;
}): Span {
  return {
    from: parseOptionalNanoseconds(request.fromTime, "from_time"),
    to: parseOptionalNanoseconds(request.toTime, "to_time"),
  };
}

/** Reads which account a request names. Throws INVALID_FIELD. */
export function parseSelector(request: {
  accountId: string;
  wallet: string;
  ledger: number;
}): AccountSelector {
  if (request.accountId !== "") return { accountId: parseU128(request.accountId, "account_id") };
  checkLedger(request.ledger, "ledger");
  return { wallet: parseWallet(request.wallet, "wallet"), ledger: request.ledger };
}

/** Reads which accounts a request names: those by id, then those of wallets. Throws INVALID_FIELD. */
export function parseSelectors(request: {
  accountIds: readonly string[];
  wallets: readonly string[];
  ledger: number;
}): AccountSelector[] {
  const { accountIds, wallets, ledger } = request;
  if (wallets.length > 0) checkLedger(ledger, "ledger");
  return [
    ...accountIds.map((id, index) => ({ accountId: parseU128(id, `account_ids[${index}]`) })),
    ...wallets.map((wallet, index) => ({
      wallet: parseWallet(wallet, `wallets[${index}]`),
      ledger,
    })),
  ];
}

/** Reads a wallet that need not be given. Throws INVALID_FIELD. */
export function parseOptionalWallet(text: string, field: string): string | undefined {
  return text === "" ? undefined : parseWallet(text, field);
}

export function formatAsset(asset: Asset): AssetProto {
  return create(AssetSchema, { ...asset });
}

/** Sums over many accounts may exceed a u128. */
function formatSums(sums: Sums) {
  return {
    debitsPosted: sums.debitsPosted.toString(),
    creditsPosted: sums.creditsPosted.toString(),
    debitsPending: sums.debitsPending.toString(),
    creditsPending: sums.creditsPending.toString(),
  };
}

export function formatJournalEntry(entry: JournalEntry): JournalEntryProto {
  const { intent, attestation } = entry;
  return create(JournalEntrySchema, {
    intentId: intent.intentId,
    digest: attestation.digest,
    phase: formatPhase(intent.phase),
    merchantId: intent.merchantId,
    reference: intent.reference,
    wallet: intent.wallet,
    corrects: intent.corrects,
    lines: entry.lines.map(formatTransfer),
    commitTime: formatNanoseconds(entry.timestamp),
    attestation: formatAttestation(attestation),
    legCount: entry.legCount,
    masked: entry.masked,
  });
}

export function formatStatementLine(line: StatementLine): StatementLineProto {
  return create(StatementLineSchema, {
    transfer: formatTransfer(line.transfer),
    change: line.change.toString(),
    balance: line.balance.toString(),
  });
}

export function formatTrialBalance(trial: TrialBalance): GetTrialBalanceResponse {
  return create(GetTrialBalanceResponseSchema, {
    asset: formatAsset(trial.asset),
    lines: trial.lines.map((line) => ({
      accountId: formatU128(line.accountId),
      name: line.name,
      code: line.code,
      ...formatSums(line),
    })),
    ...formatSums(trial.totals),
    accountCount: trial.accountCount,
    asOfTime: formatNanoseconds(trial.asOf),
  });
}
