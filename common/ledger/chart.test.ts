import { describe, expect, test } from "vitest";
import {
  type AccountClass,
  accountClasses,
  accountClassOf,
  chartAccountId,
  chartAccounts,
  classOfCode,
  classRules,
  findChartAccount,
  walletClassId,
} from "./chart.ts";

describe("the chart of ledger 1 is that of the guide", () => {
  test.each<[bigint, string, AccountClass, "ASSET" | "LIABILITY"]>([
    [1_000_001n, "SYSTEM_RESERVE", "RESERVE", "ASSET"],
    [1_000_002n, "CASH_ODFI", "CASH", "ASSET"],
    [1_000_003n, "ACH_CLEARING_LLC", "ACH", "ASSET"],
    [3_000_001n, "STRIPE_SETTLEMENT", "AGENT", "ASSET"],
    [3_000_002n, "INSTACART_CLEARING", "AGENT", "ASSET"],
    [3_000_003n, "UTILITY_PROVIDERS", "AGENT", "ASSET"],
    [4_000_001n, "MILK_OBLIGATION", "OBLIGATION", "LIABILITY"],
    [4_000_002n, "EGGS_OBLIGATION", "OBLIGATION", "LIABILITY"],
    [4_000_003n, "BREAD_OBLIGATION", "OBLIGATION", "LIABILITY"],
    [5_000_001n, "NARRATIVE_MIRROR", "MIRROR", "ASSET"],
    [5_000_002n, "AUDIT_TRAIL", "MIRROR", "ASSET"],
    [7_000_001n, "FEES", "EXPENSE", "ASSET"],
    [7_000_002n, "LOSSES", "EXPENSE", "ASSET"],
  ])("%s is %s", (id, name, accountClass, type) => {
    expect(findChartAccount(id)).toEqual({ id, name, class: accountClass, ledger: 1 });
    expect(accountClassOf(id)).toBe(accountClass);
    expect(classRules[accountClass].type).toBe(type);
  });
});

test("only what we owe can be overdrawn by mistake, so only that is guarded", () => {
  const guarded = Object.entries(classRules).filter(([, rules]) => rules.neverOverdrawn);
  expect(guarded.map(([name]) => name)).toEqual(["WALLET", "OBLIGATION"]);
});

test("an account's copy in another asset stands a stride away", () => {
  expect(chartAccountId(6_000_001n, 2)).toBe(2_006_000_001n);
  expect(findChartAccount(2_006_000_001n)?.name).toBe("TOKEN_RESERVE");
  expect(findChartAccount(3_006_000_001n)?.ledger).toBe(3);
  expect(findChartAccount(6_000_001n), "dollars are not minted").toBeUndefined();
});

test("no id stands there twice, and none could be a wallet's", () => {
  expect(new Set(chartAccounts.map(({ id }) => id)).size).toBe(chartAccounts.length);
  for (const { id } of chartAccounts) expect(id).toBeLessThan(2n ** 127n);
});

test.each([0n, 1n, walletClassId, chartAccountId(walletClassId, 2), 1_000_004n, 2n ** 127n - 1n])(
  "%s is no account",
  (id) => {
    expect(accountClassOf(id)).toBeUndefined();
  },
);

test("ids from 2^127 on are wallets", () => {
  expect(accountClassOf(2n ** 127n)).toBe("WALLET");
  expect(accountClassOf(2n ** 128n - 1n)).toBe("WALLET");
});

test("a class and its code are each other's inverse", () => {
  for (const [name, code] of Object.entries(accountClasses)) expect(classOfCode(code)).toBe(name);
  expect(classOfCode(0)).toBeUndefined();
  expect(classOfCode(21)).toBeUndefined();
});
