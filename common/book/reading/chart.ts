import {
  AccountTypeSchema,
  AssetKindSchema,
  type Book as BookProto,
} from "#gen/sovr/book/v1/book_pb.ts";
import type { BookAccount, BookAsset, BookClass } from "../book.ts";
import { walletClassCode } from "../ways.ts";
import { type Reading, wordOf } from "./reading.ts";

/** Reads what is counted, and who owns it. */
export function readChart(proto: BookProto, reading: Reading): void {
  readAssets(proto, reading);
  readClasses(proto, reading);
  readAccounts(proto, reading);
}

function readAssets({ assets }: BookProto, reading: Reading): void {
  reading.unique(assets, "assets", "ledger", ({ ledger }) => ledger);
  reading.unique(assets, "assets", "code", ({ code }) => code);
  for (const { ledger, code, name, scale, kind, symbol } of assets) {
    const asset: BookAsset = {
      ledger,
      code,
      name,
      scale,
      kind: wordOf(AssetKindSchema, kind),
      symbol,
    };
    reading.assets.set(code, asset);
  }
}

/** Classes that stand on the debit side would be refused every debit by TigerBeetle's flag. */
const creditTypes: readonly BookClass["type"][] = ["LIABILITY", "EQUITY", "INCOME"];

function readClasses({ classes }: BookProto, reading: Reading): void {
  reading.unique(classes, "classes", "code", ({ code }) => code);
  reading.unique(classes, "classes", "name", ({ name }) => name);
  for (const [index, { code, name, type, neverOverdrawn, perWallet }] of classes.entries()) {
    const field = `classes[${index}]`;
    const known = wordOf<BookClass["type"]>(AccountTypeSchema, type);
    if (neverOverdrawn && !creditTypes.includes(known))
      reading.wrong(`${field}.never_overdrawn`, `${known} stands on the debit side`);
    if (code === walletClassCode && !perWallet)
      reading.wrong(`${field}.per_wallet`, "class 20 is that of wallets");
    if (perWallet && !neverOverdrawn)
      reading.wrong(`${field}.never_overdrawn`, "a wallet never owes more than it holds");
    reading.classes.set(name, { code, name, type: known, neverOverdrawn, perWallet });
  }
}

function readAccounts({ accounts }: BookProto, reading: Reading): void {
  reading.unique(accounts, "accounts", "id", ({ id }) => id);
  reading.unique(accounts, "accounts", "name", ({ name }) => name);
  for (const [index, { id, name, class: className, assets, retired }] of accounts.entries()) {
    const field = `accounts[${index}]`;
    const found = reading.find(reading.classes, className, `${field}.class`, "class");
    if (found?.perWallet === true)
      reading.wrong(`${field}.class`, `accounts of ${className} are each wallet's own`);
    const held = reading.findAll(reading.assets, assets, `${field}.assets`, "asset");
    if (found === undefined) continue;
    const account: BookAccount = { id: BigInt(id), name, class: found, assets: held, retired };
    reading.accounts.set(name, account);
  }
}
