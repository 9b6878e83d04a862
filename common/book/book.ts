import type { ApprovalRule } from "#common/approval/policy.ts";

/** One version of a business as data, checked as a whole: sovr.book.v1.Book. */
export interface Book {
  readonly name: string;
  readonly title: string;
  /** From 1 on. */
  readonly number: number;
  /** Unix seconds: from when on it judges intents, by their issue time. */
  readonly activeFrom: bigint;
  /** The SHA-256 of the file before: lower-case hex, "" for the first. */
  readonly predecessor: string;
  /** The SHA-256 of its own file: lower-case hex. */
  readonly digest: string;
  readonly assets: readonly BookAsset[];
  readonly classes: readonly BookClass[];
  readonly accounts: readonly BookAccount[];
  readonly rules: readonly BookRule[];
  readonly limits: readonly BookLimit[];
  readonly approvals: readonly ApprovalRule[];
  readonly merchants: readonly BookMerchant[];
  readonly products: readonly BookProduct[];
  readonly fees: readonly BookFee[];
  /** By the role's name in the proto, without its prefix: the rule or account that has it. */
  readonly roles: ReadonlyMap<string, BookRule | BookAccount>;
}

export interface BookAsset {
  readonly ledger: number;
  readonly code: string;
  readonly name: string;
  readonly scale: number;
  readonly kind: string;
  readonly symbol: string;
}

export interface BookClass {
  readonly code: number;
  readonly name: string;
  readonly type: "ASSET" | "LIABILITY" | "EQUITY" | "INCOME" | "EXPENSE";
  readonly neverOverdrawn: boolean;
  readonly perWallet: boolean;
}

export interface BookAccount {
  /** Its id in ledger 1. */
  readonly id: bigint;
  readonly name: string;
  readonly class: BookClass;
  readonly assets: readonly BookAsset[];
  readonly retired: boolean;
}

export interface BookRule {
  readonly code: number;
  readonly name: string;
  readonly says: string;
  readonly ways: readonly BookWay[];
  readonly authority: "WALLET" | "HOUSE";
  readonly corrects: "NONE" | "OPTIONAL" | "REQUIRED";
  /** Codes of rules. */
  readonly givesBack: ReadonlySet<number>;
  readonly needsReference: boolean;
  readonly namesMerchant: boolean;
}

export interface BookWay {
  readonly debit: BookSide;
  readonly credit: BookSide;
  /** Codes of rules. */
  readonly coveredBy: ReadonlySet<number>;
  readonly onlyCovered: boolean;
  readonly immediateOnly: boolean;
}

export interface BookSide {
  /** Codes of classes. */
  readonly classes: ReadonlySet<number>;
  /** Ids of accounts in ledger 1. */
  readonly accounts: ReadonlySet<bigint>;
  readonly except: ReadonlySet<bigint>;
}

/** In minor units; undefined: no bound. */
export interface BookLimit {
  readonly rule: BookRule;
  readonly asset: BookAsset;
  readonly anIntent: bigint | undefined;
  readonly aWalletAndDay: bigint | undefined;
  readonly aMerchantAndDay: bigint | undefined;
}

export interface BookMerchant {
  readonly id: string;
  readonly title: string;
  readonly honoringAgent: BookAccount | undefined;
}

export interface BookProduct {
  readonly sku: string;
  readonly name: string;
  readonly description: string;
  readonly asset: BookAsset;
  readonly goods: readonly BookGood[];
  readonly picture: string;
  /** Ids; empty: every merchant's. */
  readonly merchants: readonly string[];
  readonly retired: boolean;
}

export interface BookGood {
  readonly name: string;
  readonly account: BookAccount;
  /** Minor units of the product's asset, for one of it. */
  readonly amount: bigint;
}

export interface BookFee {
  readonly name: string;
  readonly rule: BookRule;
  readonly asset: BookAsset;
  /** Millionths of a percent: 2.5 % is 2_500_000. */
  readonly percentMillionths: bigint;
  /** Minor units. */
  readonly fixed: bigint;
  readonly rounding: "HALF_EVEN" | "UP" | "DOWN";
  /** Undefined: the wallet of the sale. */
  readonly payer: BookAccount | undefined;
  readonly chargedTo: BookAccount;
}

/** Distance between the ids of the same account in two assets. */
export const ledgerStride = 1_000_000_000n;

/** The id of an account's copy in an asset. */
export function accountIdIn({ id }: Pick<BookAccount, "id">, ledger: number): bigint {
  return ledger === 1 ? id : id + BigInt(ledger) * ledgerStride;
}
