import { create } from "@bufbuild/protobuf";
import { accountName, accountType } from "#common/ledger/account.ts";
import type { AccountType } from "#common/ledger/chart.ts";
import type { AccountRecord } from "#common/ledger/reader.ts";
import { formatU128 } from "#common/u128.ts";
import {
  type Account,
  AccountSchema,
  AccountType as AccountTypeProto,
} from "#gen/sovr/ledger/v1/account_pb.ts";
import { formatNanoseconds } from "./timestamps.ts";

const typeToProto = {
  ASSET: AccountTypeProto.ASSET,
  LIABILITY: AccountTypeProto.LIABILITY,
} as const satisfies Record<AccountType, AccountTypeProto>;

/** Writes an account for the wire. */
export function formatAccount(account: AccountRecord): Account {
  return create(AccountSchema, {
    accountId: formatU128(account.id),
    ledger: account.ledger,
    code: account.code,
    name: accountName(account),
    type: typeToProto[accountType(account)],
    wallet: account.wallet,
    closed: account.closed,
    createTime: formatNanoseconds(account.timestamp),
  });
}

/** Reads an account type that need not be given. */
export function parseOptionalAccountType(type: AccountTypeProto): AccountType | undefined {
  if (type === AccountTypeProto.ASSET) return "ASSET";
  return type === AccountTypeProto.LIABILITY ? "LIABILITY" : undefined;
}
