import { create } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { parseWallet } from "#common/address.ts";
import { invalidField } from "#common/domain-error.ts";
import { formatAttestation, formatNanoseconds, formatPhase } from "#common/intent/codec.ts";
import type { Asset } from "#common/ledger/assets.ts";
import type { AccountType } from "#common/ledger/chart.ts";
import type { AccountRecord } from "#common/ledger/reader.ts";
import type { Sums } from "#common/ledger/sums-at.ts";
import { type CommittedTransfer, formatDigestPrefix, legOf } from "#common/ledger/transfer-rows.ts";
import { formatU128, parseU128 } from "#common/u128.ts";
import {
  type Account as AccountProto,
  AccountSchema,
  AccountType as AccountTypeProto,
} from "#gen/sovr/ledger/v1/account_pb.ts";
import { type Asset as AssetProto, AssetSchema } from "#gen/sovr/ledger/v1/asset_pb.ts";
import { type Balance as BalanceProto, BalanceSchema } from "#gen/sovr/ledger/v1/balance_pb.ts";
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
import { type Transfer as TransferProto, TransferSchema } from "#gen/sovr/ledger/v1/transfer_pb.ts";
import { type AccountSelector, accountName, accountType, checkLedger } from "./accounts.ts";
import type { Balance } from "./balances.ts";
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
    from: parseNanoseconds(request.fromTime, "from_time"),
    to: parseNanoseconds(request.toTime, "to_time"),
  };
}

/** Reads an instant as nanoseconds since 1970, without loss; undefined stays so. Throws INVALID_FIELD. */
export function parseNanoseconds(time: Timestamp | undefined, field: string): bigint | undefined {
  if (time === undefined) return undefined;
  if (time.nanos < 0 || time.nanos > 999_999_999) {
    throw invalidField(field, "timestamp.nanos", "nanos must be between 0 and 999999999");
  }
  return time.seconds * 1_000_000_000n + BigInt(time.nanos);
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

/** Reads a type that need not be given. */
export function parseOptionalType(type: AccountTypeProto): AccountType | undefined {
  if (type === AccountTypeProto.ASSET) return "ASSET";
  return type === AccountTypeProto.LIABILITY ? "LIABILITY" : undefined;
}

const accountTypes = {
  ASSET: AccountTypeProto.ASSET,
  LIABILITY: AccountTypeProto.LIABILITY,
} as const satisfies Record<AccountType, AccountTypeProto>;

export function formatAsset(asset: Asset): AssetProto {
  return create(AssetSchema, { ...asset });
}

export function formatAccount(account: AccountRecord): AccountProto {
  return create(AccountSchema, {
    accountId: formatU128(account.id),
    ledger: account.ledger,
    code: account.code,
    name: accountName(account),
    type: accountTypes[accountType(account)],
    wallet: account.wallet,
    closed: account.closed,
    createTime: formatNanoseconds(account.timestamp),
  });
}

export function formatBalance(balance: Balance): BalanceProto {
  return create(BalanceSchema, {
    accountId: formatU128(balance.account.id),
    ledger: balance.account.ledger,
    posted: balance.posted.toString(),
    pendingIn: formatU128(balance.pendingIn),
    pendingOut: formatU128(balance.pendingOut),
    available: balance.available.toString(),
    ...formatSums(balance),
    asOfTime: formatNanoseconds(balance.asOf),
  });
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

export function formatTransfer(transfer: CommittedTransfer): TransferProto {
  return create(TransferSchema, {
    transferId: formatU128(transfer.id),
    debitAccountId: formatU128(transfer.debitAccountId),
    creditAccountId: formatU128(transfer.creditAccountId),
    amount: formatU128(transfer.amount),
    ledger: transfer.ledger,
    code: transfer.code,
    phase: formatPhase(transfer.phase),
    pendingTransferId: transfer.pendingId === 0n ? "" : formatU128(transfer.pendingId),
    timeoutSeconds: transfer.timeout,
    ...legOf(transfer.userData32),
    digestPrefix: formatDigestPrefix(transfer),
    commitTime: formatNanoseconds(transfer.timestamp),
  });
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
