import {
  accountIdIn,
  type Book,
  type BookAccount,
  type BookClass,
  type BookRule,
  type BookWay,
} from "../book.ts";
import { type OpenWay, openWay, stands, walletClassOf } from "../ways.ts";

/** An account of the house in one of its assets. */
export interface HouseAccount {
  readonly account: BookAccount;
  readonly ledger: number;
}

/** A way of a rule in one asset. */
export interface JudgedWay extends OpenWay {
  readonly way: BookWay;
}

/** A book with everything looked up once that each posting asks for. */
export interface Chart {
  readonly book: Book;
  rule(code: number): BookRule | undefined;
  /** The house's account of an id. */
  account(id: bigint): HouseAccount | undefined;
  /** The class of a wallet's account; undefined for any other id. */
  walletClass(id: bigint): BookClass | undefined;
  /** The way that a posting runs; undefined if its rule has none for it. */
  way(code: number, debitId: bigint, creditId: bigint, ledger: number): JudgedWay | undefined;
  /** The ways of a rule in an asset, in the order of the book. */
  ways(code: number, ledger: number): readonly JudgedWay[];
  /** The rules whose postings cover those of others. */
  readonly covering: ReadonlySet<number>;
}

export function chartOf(book: Book): Chart {
  const rules = new Map(book.rules.map((rule) => [rule.code, rule]));
  const walletClasses = new Map(
    book.classes.filter(({ perWallet }) => perWallet).map((one) => [one.code, one]),
  );
  const accounts = new Map(
    book.accounts.flatMap((account) =>
      account.assets.map(
        ({ ledger }) => [accountIdIn(account, ledger), { account, ledger }] as const,
      ),
    ),
  );
  const byRule = new Map(
    book.rules.map(({ code, ways }) => [
      code,
      new Map(
        book.assets.map(({ ledger }) => [
          ledger,
          ways.map((way) => ({ way, ...openWay(book, way, ledger) })),
        ]),
      ),
    ]),
  );
  const waysOf = (code: number, ledger: number) => byRule.get(code)?.get(ledger) ?? noWays;
  return {
    book,
    rule: (code) => rules.get(code),
    account: (id) => accounts.get(id),
    walletClass(id) {
      const code = walletClassOf(id);
      return code === undefined ? undefined : walletClasses.get(code);
    },
    way: (code, debitId, creditId, ledger) =>
      waysOf(code, ledger).find(
        ({ debit, credit }) => stands(debit, debitId) && stands(credit, creditId),
      ),
    ways: waysOf,
    covering: new Set(
      book.rules.flatMap(({ ways }) => ways.flatMap(({ coveredBy }) => [...coveredBy])),
    ),
  };
}

const noWays: readonly JudgedWay[] = [];
