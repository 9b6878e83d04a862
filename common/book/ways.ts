import { accountIdIn, type Book, type BookSide, type BookWay } from "./book.ts";

/** Wallet accounts of class 20 have the upper half of the u128 range. */
const walletIdsFrom = 1n << 127n;
/** Those of other classes lie in the quarter below: the class's code, and then 110 bits of the wallet's. */
const otherWalletIdsFrom = 1n << 126n;
const walletBits = 110n;
/** The class of wallets, whose account ids are as they were before there were books. */
export const walletClassCode = 20;

/** The code of the class of a wallet's account; undefined for an id that is none. */
export function walletClassOf(accountId: bigint): number | undefined {
  if (accountId >= walletIdsFrom) return walletClassCode;
  if (accountId < otherWalletIdsFrom) return undefined;
  const code = Number((accountId >> walletBits) & 0xffffn);
  return code === walletClassCode ? undefined : code;
}

/** A side in one asset. */
export interface OpenSide {
  readonly ids: ReadonlySet<bigint>;
  /** Of classes that each wallet has accounts of. */
  readonly walletClasses: ReadonlySet<number>;
}

/** Both sides of a way in one asset. */
export interface OpenWay {
  readonly debit: OpenSide;
  readonly credit: OpenSide;
}

/** Looks up, once, which accounts stand on which side, so that a posting is judged by a look into two sets. */
export function openWay(book: Book, { debit, credit }: BookWay, ledger: number): OpenWay {
  return { debit: openSide(book, debit, ledger), credit: openSide(book, credit, ledger) };
}

/** The ways of rules, by their place, that no asset has accounts for on both sides. */
export function* deadWays(book: Book): Generator<{ readonly rule: number; readonly way: number }> {
  for (const [rule, { ways }] of book.rules.entries()) {
    for (const [way, { debit, credit }] of ways.entries()) {
      const isOpen = book.assets.some(
        ({ ledger }) =>
          !isEmpty(openSide(book, debit, ledger)) && !isEmpty(openSide(book, credit, ledger)),
      );
      if (!isOpen) yield { rule, way };
    }
  }
}

function openSide(book: Book, side: BookSide, ledger: number): OpenSide {
  const accounts = book.accounts.filter(
    ({ id, class: { code }, assets }) =>
      assets.some((asset) => asset.ledger === ledger) &&
      (side.accounts.has(id) || (side.classes.has(code) && !side.except.has(id))),
  );
  const wallets = book.classes.filter(({ code, perWallet }) => perWallet && side.classes.has(code));
  return {
    ids: new Set(accounts.map((account) => accountIdIn(account, ledger))),
    walletClasses: new Set(wallets.map(({ code }) => code)),
  };
}

/** Whether an account stands on a side. */
export function stands({ ids, walletClasses }: OpenSide, accountId: bigint): boolean {
  const walletClass = walletClassOf(accountId);
  return walletClass === undefined ? ids.has(accountId) : walletClasses.has(walletClass);
}

function isEmpty({ ids, walletClasses }: OpenSide): boolean {
  return ids.size === 0 && walletClasses.size === 0;
}
