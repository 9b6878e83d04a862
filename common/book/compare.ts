import type { Book, BookAccount, BookClass, BookProduct, BookRule } from "./book.ts";

/** What a version changes against the one before it. */
export interface Comparison {
  /** In words, one a line: "adds the rule TIP (14)". */
  readonly changes: readonly string[];
  /** What must never change, with the path in the new file's words. */
  readonly breaks: readonly { readonly field: string; readonly description: string }[];
}

/**
 * Holds a version against the one before it. What a number in the ledger means is for ever: an asset's scale, a class, an
 * account, a rule's code. Rows that are years old are read by it.
 */
export function compareBooks(before: Book, after: Book): Comparison {
  const changes: string[] = [];
  const breaks: { field: string; description: string }[] = [];
  const note: Note = {
    change: (text) => void changes.push(text),
    broken: (field, description) => void breaks.push({ field, description }),
  };
  if (after.name !== before.name)
    note.broken("name", `is ${after.name}, and was ${before.name}: another book is another folder`);
  if (after.number !== before.number + 1) note.broken("number", `follows ${before.number} by one`);
  if (after.predecessor !== before.digest)
    note.broken("predecessor", `the file of version ${before.number} has ${before.digest}`);
  if (after.activeFrom <= before.activeFrom)
    note.broken("active_from", "is later than that of the version before");
  compareAssets(before, after, note);
  compareClasses(before, after, note);
  compareAccounts(before, after, note);
  compareRules(before, after, note);
  compareTrade(before, after, note);
  return { changes, breaks };
}

interface Note {
  change(text: string): void;
  broken(field: string, description: string): void;
}

/** Pairs what has the same key, and tells what came and what went. */
function paired<Item>(
  before: readonly Item[],
  after: readonly Item[],
  keyOf: (item: Item) => string | number,
  told: {
    readonly came: (item: Item) => void;
    readonly went: (item: Item) => void;
    readonly both: (old: Item, item: Item, index: number) => void;
  },
): void {
  const old = new Map(before.map((item) => [keyOf(item), item]));
  const fresh = new Set(after.map(keyOf));
  for (const item of before) if (!fresh.has(keyOf(item))) told.went(item);
  for (const [index, item] of after.entries()) {
    const known = old.get(keyOf(item));
    if (known === undefined) told.came(item);
    else told.both(known, item, index);
  }
}

function compareAssets(before: Book, after: Book, note: Note): void {
  paired(before.assets, after.assets, ({ ledger }) => ledger, {
    came: ({ code, ledger }) => note.change(`adds the asset ${code} (${ledger})`),
    went: ({ code, ledger }) =>
      note.broken("assets", `${code} (${ledger}) is gone, and its amounts stay`),
    both(old, { code, scale, name }, index) {
      const field = `assets[${index}]`;
      if (scale !== old.scale)
        note.broken(`${field}.scale`, `was ${old.scale}: amounts in the ledger would mean others`);
      if (code !== old.code) note.broken(`${field}.code`, `was ${old.code}, for ever`);
      if (name !== old.name) note.change(`calls the asset ${code} "${name}"`);
    },
  });
}

function compareClasses(before: Book, after: Book, note: Note): void {
  paired(before.classes, after.classes, ({ code }) => code, {
    came: ({ code, name }) => note.change(`adds the class ${name} (${code})`),
    went: ({ code, name }) =>
      note.broken("classes", `${name} (${code}) is gone, and its accounts stay`),
    both(old, fresh, index) {
      const field = `classes[${index}]`;
      const fixed: readonly (readonly [keyof BookClass, string])[] = [
        ["type", "type"],
        ["neverOverdrawn", "never_overdrawn"],
        ["perWallet", "per_wallet"],
        ["name", "name"],
      ];
      for (const [key, name] of fixed)
        if (old[key] !== fresh[key])
          note.broken(
            `${field}.${name}`,
            `was ${old[key]}: TigerBeetle's accounts have it for ever`,
          );
    },
  });
}

function compareAccounts(before: Book, after: Book, note: Note): void {
  paired(before.accounts, after.accounts, ({ id }) => String(id), {
    came: ({ id, name }) => note.change(`adds the account ${name} (${id})`),
    went: ({ id, name }) =>
      note.broken("accounts", `${name} (${id}) is gone: retire it, its balance stays`),
    both(old, fresh, index) {
      const field = `accounts[${index}]`;
      if (fresh.name !== old.name) note.broken(`${field}.name`, `was ${old.name}, for ever`);
      if (fresh.class.code !== old.class.code)
        note.broken(`${field}.class`, `was ${old.class.name}, for ever`);
      compareLedgers(old, fresh, field, note);
      if (fresh.retired && !old.retired) note.change(`retires the account ${fresh.name}`);
      if (!fresh.retired && old.retired) note.change(`takes the account ${fresh.name} up again`);
    },
  });
}

function compareLedgers(old: BookAccount, fresh: BookAccount, field: string, note: Note): void {
  const codes = (account: BookAccount) => account.assets.map(({ code }) => code);
  const gone = codes(old).filter((code) => !codes(fresh).includes(code));
  const come = codes(fresh).filter((code) => !codes(old).includes(code));
  if (gone.length > 0)
    note.broken(`${field}.assets`, `${gone.join(", ")} is gone, and stays there`);
  if (come.length > 0) note.change(`opens ${fresh.name} in ${come.join(", ")}`);
}

function compareRules(before: Book, after: Book, note: Note): void {
  paired(before.rules, after.rules, ({ code }) => code, {
    came: ({ code, name }) => note.change(`adds the rule ${name} (${code})`),
    went: ({ code, name }) =>
      note.change(`ends the rule ${name} (${code}): nothing new is posted by it`),
    both(old, fresh, index) {
      if (fresh.name !== old.name)
        note.broken(`rules[${index}].name`, `was ${old.name}: old rows are read by it`);
      for (const change of ruleChanges(old, fresh)) note.change(`${fresh.name}: ${change}`);
    },
  });
}

function* ruleChanges(old: BookRule, fresh: BookRule): Generator<string> {
  const ways = ({ ways: all }: BookRule) => new Set(all.map((way) => plain(way)));
  const [had, has] = [ways(old), ways(fresh)];
  const more = [...has].filter((way) => !had.has(way)).length;
  const less = [...had].filter((way) => !has.has(way)).length;
  if (more > 0) yield `${more} ${more === 1 ? "way" : "ways"} that it had not (widens, or changes)`;
  if (less > 0) yield `${less} ${less === 1 ? "way" : "ways"} less (narrows, or changes)`;
  if (fresh.authority !== old.authority)
    yield `needs the ${fresh.authority.toLowerCase()}'s word, and needed the ${old.authority.toLowerCase()}'s`;
  if (fresh.corrects !== old.corrects)
    yield `corrects is ${fresh.corrects}, and was ${old.corrects}`;
  if (plain(fresh.givesBack) !== plain(old.givesBack)) yield "gives back what other rules moved";
  if (fresh.needsReference !== old.needsReference)
    yield fresh.needsReference
      ? "needs a reference (narrows)"
      : "needs no reference any more (widens)";
  if (fresh.namesMerchant !== old.namesMerchant)
    yield fresh.namesMerchant
      ? "may name a merchant (widens)"
      : "names no merchant any more (narrows)";
}

function compareTrade(before: Book, after: Book, note: Note): void {
  paired(before.products, after.products, ({ sku }) => sku, {
    came: ({ sku }) => note.change(`sells ${sku}`),
    went: ({ sku }) => note.change(`does not sell ${sku} any more`),
    both(old, fresh, index) {
      if (fresh.retired !== old.retired)
        note.change(`${fresh.retired ? "retires" : "sells again"} ${fresh.sku}`);
      if (priceTag(old) !== priceTag(fresh))
        note.broken(
          `products[${index}].goods`,
          `${fresh.sku} costs what it did: another price is another SKU`,
        );
    },
  });
  paired(before.merchants, after.merchants, ({ id }) => id, {
    came: ({ id }) => note.change(`adds the merchant ${id}`),
    went: ({ id }) => note.change(`takes the merchant ${id} out`),
    both: () => undefined,
  });
  const roles = ({ roles: all }: Book) => plain([...all].map(([role, { name }]) => [role, name]));
  if (roles(before) !== roles(after)) note.change("changes roles");
  for (const what of ["limits", "fees", "approvals"] as const)
    if (plain(before[what]) !== plain(after[what])) note.change(`changes ${what}`);
}

/** What a product costs and owes, whatever its names are by now. */
function priceTag({ asset, goods }: BookProduct): string {
  return plain([asset.ledger, goods.map(({ account, amount }) => [account.id, amount])]);
}

/** A value as a text, the same for the same. */
function plain(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => {
    if (typeof inner === "bigint") return inner.toString();
    if (inner instanceof Map || inner instanceof Set) return [...inner];
    return inner;
  });
}
