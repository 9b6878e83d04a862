import { create } from "@bufbuild/protobuf";
import type { Balance } from "#common/ledger/balance.ts";
import { formatU128 } from "#common/u128.ts";
import { type Balance as BalanceProto, BalanceSchema } from "#gen/sovr/ledger/v1/balance_pb.ts";
import { formatNanoseconds } from "./timestamps.ts";

/** Writes a balance for the wire. Throws RangeError for a sum below 0, which would be a fault of ours. */
export function formatBalance(balance: Balance): BalanceProto {
  return create(BalanceSchema, {
    accountId: formatU128(balance.account.id),
    ledger: balance.account.ledger,
    posted: balance.posted.toString(),
    pendingIn: formatU128(balance.pendingIn),
    pendingOut: formatU128(balance.pendingOut),
    available: balance.available.toString(),
    debitsPosted: formatU128(balance.debitsPosted),
    creditsPosted: formatU128(balance.creditsPosted),
    debitsPending: formatU128(balance.debitsPending),
    creditsPending: formatU128(balance.creditsPending),
    asOfTime: formatNanoseconds(balance.asOf),
  });
}
