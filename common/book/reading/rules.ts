import {
  Authority,
  AuthoritySchema,
  type Book as BookProto,
  Correction,
  CorrectionSchema,
  type Rule as RuleProto,
  type Side as SideProto,
} from "#gen/sovr/book/v1/book_pb.ts";
import type { BookLimit, BookRule, BookSide, BookWay } from "../book.ts";
import { type Reading, wordOf } from "./reading.ts";

/** Reads what may move from where to where. Rules name each other, so their names are known first. */
export function readRules({ rules }: BookProto, reading: Reading): void {
  reading.unique(rules, "rules", "code", ({ code }) => code);
  reading.unique(rules, "rules", "name", ({ name }) => name);
  const codes = new Map(rules.map(({ name, code }) => [name, code]));
  for (const [index, rule] of rules.entries()) {
    const field = `rules[${index}]`;
    const corrects = wordOf<BookRule["corrects"]>(
      CorrectionSchema,
      rule.corrects || Correction.OPTIONAL,
    );
    const givesBack = reading.findAll(codes, rule.givesBack, `${field}.gives_back`, "rule");
    if (givesBack.length > 0 && corrects !== "REQUIRED")
      reading.wrong(`${field}.corrects`, "what gives back corrects something: REQUIRED");
    reading.rules.set(rule.name, {
      code: rule.code,
      name: rule.name,
      says: rule.says,
      ways: readWays(rule, codes, field, reading),
      authority: wordOf(AuthoritySchema, rule.authority),
      corrects,
      givesBack: new Set(givesBack),
      needsReference: rule.needsReference,
      namesMerchant: rule.namesMerchant,
    });
  }
}

function readWays(
  { ways, authority }: RuleProto,
  codes: ReadonlyMap<string, number>,
  field: string,
  reading: Reading,
): readonly BookWay[] {
  return ways.map((way, index) => {
    const path = `${field}.ways[${index}]`;
    const debit = readSide(way.debit, `${path}.debit`, reading);
    const credit = readSide(way.credit, `${path}.credit`, reading);
    const coveredBy = reading.findAll(codes, way.coveredBy, `${path}.covered_by`, "rule");
    if (authority === Authority.WALLET && !isOfWallets(way.debit, reading))
      reading.wrong(`${path}.debit`, "a wallet's word debits accounts of wallets alone");
    if (way.onlyCovered && coveredBy.length === 0)
      reading.wrong(`${path}.only_covered`, "`covered_by` names nothing that covers it");
    const { onlyCovered, immediateOnly } = way;
    return { debit, credit, coveredBy: new Set(coveredBy), onlyCovered, immediateOnly };
  });
}

function isOfWallets(side: SideProto | undefined, { classes }: Reading): boolean {
  if (side === undefined || side.accounts.length > 0) return false;
  return side.classes.every((name) => classes.get(name)?.perWallet !== false);
}

function readSide(side: SideProto | undefined, field: string, reading: Reading): BookSide {
  const { classes: names = [], accounts = [], except = [] } = side ?? {};
  if (names.length + accounts.length === 0)
    reading.wrong(field, "names neither a class nor an account: nothing could stand there");
  const classes = reading.findAll(reading.classes, names, `${field}.classes`, "class");
  const named = reading.findAll(reading.accounts, accounts, `${field}.accounts`, "account");
  const left = reading.findAll(reading.accounts, except, `${field}.except`, "account");
  for (const [index, name] of except.entries()) {
    const account = reading.accounts.get(name);
    if (account !== undefined && !classes.includes(account.class))
      reading.wrong(`${field}.except[${index}]`, `${name} is in none of the side's classes`);
  }
  return {
    classes: new Set(classes.map(({ code }) => code)),
    accounts: new Set(named.map(({ id }) => id)),
    except: new Set(left.map(({ id }) => id)),
  };
}

/** Reads how much may move. */
export function readLimits({ limits }: BookProto, reading: Reading): readonly BookLimit[] {
  reading.unique(limits, "limits", "rule", ({ rule, asset }) => `${rule} in ${asset}`);
  return limits.flatMap((limit, index) => {
    const field = `limits[${index}]`;
    const rule = reading.find(reading.rules, limit.rule, `${field}.rule`, "rule");
    const asset = reading.find(reading.assets, limit.asset, `${field}.asset`, "asset");
    const amount = (text: string, name: string) =>
      reading.minorUnits(text, asset, `${field}.${name}`);
    const anIntent = amount(limit.anIntent, "an_intent");
    const aWalletAndDay = amount(limit.aWalletAndDay, "a_wallet_and_day");
    const aMerchantAndDay = amount(limit.aMerchantAndDay, "a_merchant_and_day");
    if (anIntent === undefined && aWalletAndDay === undefined && aMerchantAndDay === undefined)
      reading.wrong(field, "bounds nothing");
    if (aMerchantAndDay !== undefined && rule?.namesMerchant === false)
      reading.wrong(`${field}.a_merchant_and_day`, `${limit.rule} names no merchant`);
    if (rule === undefined || asset === undefined) return [];
    return [{ rule, asset, anIntent, aWalletAndDay, aMerchantAndDay }];
  });
}
