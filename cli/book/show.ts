import {
  accountIdIn,
  type Book,
  type BookAsset,
  type BookRule,
  type BookSide,
} from "#common/book/book.ts";
import { table } from "../command/text.ts";

/** A version of a book for people. */
export function bookText(book: Book): string {
  const { title, name, number, digest, activeFrom } = book;
  const since = new Date(Number(activeFrom) * 1_000).toISOString().replace(".000Z", "Z");
  return [
    `${title}: ${name}, version ${number}, in force from ${since}`,
    `digest ${digest}`,
    "",
    table([
      ["ledger", "asset", "scale", "kind"],
      ...book.assets.map(({ ledger, code, scale, kind }) => [
        String(ledger),
        code,
        String(scale),
        kind.toLowerCase(),
      ]),
    ]),
    "",
    table([
      ["account", "id", "class", "type", "in"],
      ...book.accounts.map((account) => [
        account.name,
        String(accountIdIn(account, 1)),
        account.class.name,
        account.class.type.toLowerCase(),
        account.assets.map(({ code }) => code).join(" ") + (account.retired ? ", retired" : ""),
      ]),
      ...book.classes
        .filter(({ perWallet }) => perWallet)
        .map(({ name: wallet, type }) => [
          "one of each wallet",
          "",
          wallet,
          type.toLowerCase(),
          "all",
        ]),
    ]),
    "",
    table([
      ["rule", "code", "by", "from", "to"],
      ...book.rules.flatMap((rule) => ruleRows(book, rule)),
    ]),
    ...(book.products.length === 0
      ? []
      : ["", table([["product", "price", "owes"], ...book.products.map(productRow)])]),
  ].join("\n");
}

function ruleRows(book: Book, { name, code, authority, ways }: BookRule): string[][] {
  return ways.map(({ debit, credit }, index) => [
    index === 0 ? name : "",
    index === 0 ? String(code) : "",
    index === 0 ? authority.toLowerCase() : "",
    sideText(book, debit),
    sideText(book, credit),
  ]);
}

function sideText(book: Book, { classes, accounts, except }: BookSide): string {
  const named = (ids: ReadonlySet<bigint>) =>
    book.accounts.filter(({ id }) => ids.has(id)).map(({ name }) => name);
  const kinds = book.classes.filter(({ code }) => classes.has(code)).map(({ name }) => name);
  const less = except.size === 0 ? "" : `, not ${named(except).join(", ")}`;
  return `${[...kinds, ...named(accounts)].join(" ")}${less}`;
}

function productRow({ sku, goods, asset }: Book["products"][number]): string[] {
  const price = goods.reduce((sum, { amount }) => sum + amount, 0n);
  const owes = goods.map(({ account, amount }) => `${amountText(amount, asset)} ${account.name}`);
  return [sku, `${amountText(price, asset)} ${asset.code}`, owes.join(", ")];
}

function amountText(amount: bigint, { scale }: BookAsset): string {
  if (scale === 0) return String(amount);
  const digits = String(amount).padStart(scale + 1, "0");
  return `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}
