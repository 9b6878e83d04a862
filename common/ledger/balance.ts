import { accountType } from "./account.ts";
import type { AccountRecord } from "./reader.ts";
import type { Sums } from "./sums-at.ts";

/** What an account holds at one instant, minor units. */
export interface Balance extends Sums {
  readonly account: AccountRecord;
  /** On the account's normal side; may be negative. */
  readonly posted: bigint;
  readonly pendingIn: bigint;
  readonly pendingOut: bigint;
  /** posted − pendingOut; may be negative. */
  readonly available: bigint;
  /** Nanoseconds. */
  readonly asOf: bigint;
}

/** The balance that an account's sums at an instant, nanoseconds, amount to. */
export function balanceOf(account: AccountRecord, sums: Sums, asOf: bigint): Balance {
  const { debitsPosted, creditsPosted, debitsPending, creditsPending } = sums;
  const isAsset = accountType(account) === "ASSET";
  const posted = postedOf(account, sums);
  const pendingOut = isAsset ? creditsPending : debitsPending;
  return {
    account,
    debitsPosted,
    creditsPosted,
    debitsPending,
    creditsPending,
    posted,
    pendingIn: isAsset ? debitsPending : creditsPending,
    pendingOut,
    available: posted - pendingOut,
    asOf,
  };
}

/** What is posted on an account, on its normal side; may be negative. */
export function postedOf(account: Pick<AccountRecord, "code">, sums: Sums): bigint {
  return accountType(account) === "ASSET"
    ? sums.debitsPosted - sums.creditsPosted
    : sums.creditsPosted - sums.debitsPosted;
}
