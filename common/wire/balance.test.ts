// Goal: an account and its balance look the same whoever writes them, on the side on which the account stands.
import { expect, test } from "vitest";
import { balanceOf } from "#common/ledger/balance.ts";
import type { AccountRecord } from "#common/ledger/reader.ts";
import { AccountType } from "#gen/sovr/ledger/v1/account_pb.ts";
import { formatAccount } from "./account.ts";
import { formatBalance } from "./balance.ts";

const sums = { debitsPosted: 10n, creditsPosted: 3n, debitsPending: 2n, creditsPending: 5n };
const wallet = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

function account(fields: Partial<AccountRecord>): AccountRecord {
  return { id: 9n, ledger: 1, code: 11, wallet: "", closed: false, timestamp: 1n, ...fields };
}

test.each([
  ["asset", 11, { posted: "7", pendingIn: "2", pendingOut: "5", available: "2" }],
  ["liability", 20, { posted: "-7", pendingIn: "5", pendingOut: "2", available: "-9" }],
  ["class that nobody declared", 999, { posted: "7", available: "2" }],
])("the balance of an %s", (_, code, expected) => {
  expect(formatBalance(balanceOf(account({ code }), sums, 1_000_000_002n))).toMatchObject({
    accountId: "9",
    ledger: 1,
    debitsPosted: "10",
    creditsPosted: "3",
    debitsPending: "2",
    creditsPending: "5",
    asOfTime: { seconds: 1n, nanos: 2 },
    ...expected,
  });
});

test("a sum below 0 is a fault, not an answer", () => {
  const broken = { ...sums, debitsPending: -1n };
  expect(() => formatBalance(balanceOf(account({}), broken, 1n))).toThrow(RangeError);
});

test.each([
  ["the chart's", { id: 1_000_002n }, "CASH_ODFI", AccountType.ASSET],
  ["a wallet's", { code: 20, wallet }, `WALLET ${wallet}`, AccountType.LIABILITY],
  ["nobody's", {}, "ACCOUNT 9", AccountType.ASSET],
] as const)("an account of %s", (_, fields, name, type) => {
  expect(formatAccount(account({ ...fields, closed: true }))).toMatchObject({
    name,
    type,
    wallet: "wallet" in fields ? wallet : "",
    closed: true,
    createTime: { seconds: 0n, nanos: 1 },
  });
});
