import { assets } from "./assets.ts";

/** The classes of accounts; the number is the account's `code` in TigerBeetle. */
export const accountClasses = {
  RESERVE: 10,
  CASH: 11,
  ACH: 12,
  WALLET: 20,
  AGENT: 30,
  OBLIGATION: 40,
  MIRROR: 50,
  TOKEN: 60,
  EXPENSE: 70,
} as const;

export type AccountClass = keyof typeof accountClasses;
export type AccountType = "ASSET" | "LIABILITY";

/** What holds for every account of a class. */
export interface ClassRules {
  /** The side on which its balance normally stands. */
  readonly type: AccountType;
  /** True: the account may never owe more than it holds (`debits_must_not_exceed_credits`). */
  readonly neverOverdrawn: boolean;
}

/** The type of each class, and which may never be overdrawn. */
export const classRules: Readonly<Record<AccountClass, ClassRules>> = {
  RESERVE: { type: "ASSET", neverOverdrawn: false },
  CASH: { type: "ASSET", neverOverdrawn: false },
  ACH: { type: "ASSET", neverOverdrawn: false },
  WALLET: { type: "LIABILITY", neverOverdrawn: true },
  AGENT: { type: "ASSET", neverOverdrawn: false },
  OBLIGATION: { type: "LIABILITY", neverOverdrawn: true },
  MIRROR: { type: "ASSET", neverOverdrawn: false },
  TOKEN: { type: "ASSET", neverOverdrawn: false },
  EXPENSE: { type: "ASSET", neverOverdrawn: false },
};

/** An account that the mesh itself owns. */
export interface ChartAccount {
  readonly id: bigint;
  readonly name: string;
  readonly class: AccountClass;
  readonly ledger: number;
}

/** Distance between the ids of the same account in two assets. */
const ledgerStride = 1_000_000_000n;

/** Wallet accounts have the upper half of the u128 range: every id from here on. */
export const walletIdsFrom = 1n << 127n;

/** The id that names the wallet class as a whole; no account has it. */
export const walletClassId = 2_000_000n;

const everyLedger = assets.map((asset) => asset.ledger);
const usd = [1];
const prices = [1, 2];
const tokens = [2, 3];

// Ids and names are those of the guide that this system implements. The last column says which assets have
// their own copy: banks and Stripe settle dollars, goods are priced in dollars or SFIAT, tokens are minted.
const chartRows: readonly (readonly [bigint, string, AccountClass, readonly number[]])[] = [
  [1_000_001n, "SYSTEM_RESERVE", "RESERVE", everyLedger],
  [1_000_002n, "CASH_ODFI", "CASH", usd],
  [1_000_003n, "ACH_CLEARING_LLC", "ACH", usd],
  [3_000_001n, "STRIPE_SETTLEMENT", "AGENT", usd],
  [3_000_002n, "INSTACART_CLEARING", "AGENT", prices],
  [3_000_003n, "UTILITY_PROVIDERS", "AGENT", prices],
  [4_000_001n, "MILK_OBLIGATION", "OBLIGATION", prices],
  [4_000_002n, "EGGS_OBLIGATION", "OBLIGATION", prices],
  [4_000_003n, "BREAD_OBLIGATION", "OBLIGATION", prices],
  [5_000_001n, "NARRATIVE_MIRROR", "MIRROR", everyLedger],
  [5_000_002n, "AUDIT_TRAIL", "MIRROR", everyLedger],
  [6_000_001n, "TOKEN_RESERVE", "TOKEN", tokens],
  [7_000_001n, "FEES", "EXPENSE", everyLedger],
  [7_000_002n, "LOSSES", "EXPENSE", everyLedger],
];

/** The id of a chart account's copy in an asset. `baseId` is its id in ledger 1. */
export function chartAccountId(baseId: bigint, ledger: number): bigint {
  return ledger === 1 ? baseId : baseId + BigInt(ledger) * ledgerStride;
}

/** Every account of the chart, in every asset that has it, by ledger and id. */
export const chartAccounts: readonly ChartAccount[] = everyLedger.flatMap((ledger) =>
  chartRows
    .filter(([, , , ledgers]) => ledgers.includes(ledger))
    .map(([baseId, name, accountClass]) => ({
      id: chartAccountId(baseId, ledger),
      name,
      class: accountClass,
      ledger,
    })),
);

const byId = new Map(chartAccounts.map((account) => [account.id, account]));

/** The chart account of an id, or undefined. */
export function findChartAccount(accountId: bigint): ChartAccount | undefined {
  return byId.get(accountId);
}

/** The class of an account id, or undefined for an id that no account may have. */
export function accountClassOf(accountId: bigint): AccountClass | undefined {
  return accountId >= walletIdsFrom ? "WALLET" : byId.get(accountId)?.class;
}

const classByCode = new Map(
  Object.entries(accountClasses).map(([name, code]) => [code as number, name as AccountClass]),
);

/** The class of an account row's `code`, or undefined. */
export function classOfCode(code: number): AccountClass | undefined {
  return classByCode.get(code);
}
