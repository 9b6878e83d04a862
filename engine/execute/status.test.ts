import {
  AccountFilterFlags,
  AccountFlags,
  CreateAccountStatus,
  CreateTransferStatus,
  QueryFilterFlags,
  TransferFlags,
} from "tigerbeetle-node";
import { describe, expect, it } from "vitest";
import { ACCOUNT_FLAG, FILTER_FLAG, TRANSFER_FLAG } from "../rows/flags.ts";
import { ACCOUNT_STATUS, CREATED, TRANSFER_STATUS } from "./status.ts";

/** The entries of a numeric TypeScript enum. */
const entries = (enumeration: object): [string, number][] =>
  Object.entries(enumeration).filter((entry): entry is [string, number] => {
    return typeof entry[1] === "number";
  });

describe("the engine's numbers are those of tigerbeetle-node", () => {
  it.each([
    ["account statuses", ACCOUNT_STATUS, CreateAccountStatus],
    ["transfer statuses", TRANSFER_STATUS, CreateTransferStatus],
  ])("%s", (_, ours, theirs) => {
    const known = entries(theirs).filter(
      // The engine refuses imported events before it gives them a status.
      ([name]) => name !== "created" && !name.startsWith("imported_"),
    );
    expect(Object.fromEntries(known)).toEqual(ours);
    expect(CREATED).toBe(CreateAccountStatus.created);
    expect(CREATED).toBe(CreateTransferStatus.created);
  });

  it("flags", () => {
    const all = (enumeration: object) =>
      entries(enumeration).reduce((sum, [, bit]) => sum | bit, 0);
    expect(ACCOUNT_FLAG.all).toBe(all(AccountFlags));
    expect(TRANSFER_FLAG.all).toBe(all(TransferFlags));
    expect(FILTER_FLAG.accountAll).toBe(all(AccountFilterFlags));
    expect(FILTER_FLAG.queryAll).toBe(all(QueryFilterFlags));
    expect(ACCOUNT_FLAG).toMatchObject({
      linked: AccountFlags.linked,
      debitsMustNotExceedCredits: AccountFlags.debits_must_not_exceed_credits,
      creditsMustNotExceedDebits: AccountFlags.credits_must_not_exceed_debits,
      history: AccountFlags.history,
      imported: AccountFlags.imported,
      closed: AccountFlags.closed,
    });
    expect(TRANSFER_FLAG).toMatchObject({
      linked: TransferFlags.linked,
      pending: TransferFlags.pending,
      postPending: TransferFlags.post_pending_transfer,
      voidPending: TransferFlags.void_pending_transfer,
      balancingDebit: TransferFlags.balancing_debit,
      balancingCredit: TransferFlags.balancing_credit,
      closingDebit: TransferFlags.closing_debit,
      closingCredit: TransferFlags.closing_credit,
      imported: TransferFlags.imported,
    });
  });
});
