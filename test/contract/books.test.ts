// Goal: the guide's business as data is the business that is compiled in, and what is wrong in a book is told where it stands.
// Method: books/sovr against the constants; books/sovr broken in hundreds of ways, each where a
// person would break it, judged by the reader and by the JSON Schema that editors use.
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, describe, expect, it } from "vitest";
import { isMap, isScalar, isSeq, LineCounter, type Node, parse, parseDocument } from "yaml";
import { accountIdIn, type Book } from "#common/book/book.ts";
import { loadBook } from "#common/book/load-book.ts";
import { readBook } from "#common/book/read-book.ts";
import { postingCodes } from "#common/intent/posting-codes.ts";
import { assets } from "#common/ledger/assets.ts";
import { accountClasses, chartAccounts, classRules } from "#common/ledger/chart.ts";
import { YamlError } from "#common/yaml/read-yaml.ts";
import { priceOf, products } from "../../services/checkout/order/products.ts";

const root = join(import.meta.dirname, "../..");
const books = join(root, "books");
const path = join(books, "sovr/0001.yaml");
const text = readFileSync(path, "utf8");
const sovr = readBook(Buffer.from(text));
const folder = mkdtempSync(join(tmpdir(), "sovr-books-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("books/sovr is what is compiled in", () => {
  it("in its assets, classes and accounts", () => {
    expect(sovr.assets.map(({ ledger, code, scale }) => ({ ledger, code, scale }))).toEqual(assets);
    expect(
      Object.fromEntries(
        sovr.classes.map(({ name, code, type, neverOverdrawn }) => [
          name,
          { code, type, neverOverdrawn },
        ]),
      ),
    ).toEqual(
      Object.fromEntries(
        Object.entries(accountClasses).map(([name, code]) => [
          name,
          { code, ...classRules[name as keyof typeof accountClasses] },
        ]),
      ),
    );
    const accounts = sovr.assets.flatMap(({ ledger }) =>
      sovr.accounts
        .filter((account) => account.assets.some((asset) => asset.ledger === ledger))
        .map((account) => ({
          id: accountIdIn(account, ledger),
          name: account.name,
          class: account.class.name,
          ledger,
        })),
    );
    expect(accounts).toEqual(chartAccounts);
  });

  it("in the names and numbers of its rules", () => {
    expect(Object.fromEntries(sovr.rules.map(({ name, code }) => [name, code]))).toEqual(
      postingCodes,
    );
  });

  it("to the byte: whoever changes what is in force writes a new version", () => {
    expect(sovr.digest).toBe("52f72b69158b8560b533cdd86cda57d2d00a501d4478385546032c5395cb776b");
  });

  it("in what it sells", () => {
    expect(
      sovr.products.map(({ sku, name, description, goods }) => ({
        sku,
        name,
        description,
        goods: goods.map((good) => ({
          name: good.name,
          accountId: good.account.id,
          accountName: good.account.name,
          unitAmount: good.amount,
        })),
      })),
    ).toEqual(products);
    expect(products.map(priceOf)).toEqual([350n, 250n, 150n, 750n]);
  });
});

it.each(readdirSync(books, { withFileTypes: true }).filter((entry) => entry.isDirectory()))(
  "books/$name holds",
  ({ name }) => {
    expect(loadBook(join(books, name)).versions.length).toBeGreaterThan(0);
  },
);

/** A book with one thing wrong, and the line where somebody would look for it. */
interface Broken {
  readonly what: string;
  readonly text: string;
  readonly line: number;
}

const lines = new LineCounter();
const document = parseDocument(text, { lineCounter: lines });
const lineAt = (offset: number) => lines.linePos(offset).line;
const replaced = (from: number, to: number, by: string) =>
  text.slice(0, from) + by + text.slice(to);

/** Every key misspelt, every key doubled, every value of another kind, every name of something that is not there. */
function* brokenBooks(node: unknown, at: string): Generator<Broken> {
  if (isSeq(node)) {
    for (const [index, item] of node.items.entries()) yield* brokenBooks(item, `${at}[${index}]`);
    return;
  }
  if (isMap(node)) {
    for (const { key, value } of node.items) {
      if (!isScalar(key) || key.range == null) continue;
      const [from, to] = key.range;
      const name = `${at}.${key.value}`;
      yield {
        what: `${name} misspelt`,
        text: replaced(from, to, `${key.value}x`),
        line: lineAt(from),
      };
      const [, valueEnd = to] = (value as Node | null)?.range ?? [];
      if (node.flow === true)
        yield {
          what: `${name} twice`,
          text: replaced(valueEnd, valueEnd, `, ${text.slice(from, valueEnd)}`),
          line: lineAt(from),
        };
      yield* brokenBooks(value, name);
    }
    return;
  }
  if (!isScalar(node) || node.range == null) return;
  const [from, to] = node.range;
  const line = lineAt(from);
  yield {
    what: `${at} of another kind`,
    text: replaced(from, to, typeof node.value === "string" ? "[]" : '"x"'),
    line,
  };
  const isName =
    /\.(class|classes\[\d+\]|accounts\[\d+\]|except\[\d+\]|assets\[\d+\]|asset|account|is|coveredBy\[\d+\]|givesBack\[\d+\])$/;
  if (isName.test(at) && typeof node.value === "string")
    yield { what: `${at} of nobody`, text: replaced(from, to, "NOBODY"), line };
  if (/\.(type|kind|authority|corrects|role)$/.test(at))
    yield { what: `${at} unspecified`, text: replaced(from, to, "NONSENSE"), line };
}

/** Every third: each takes ten milliseconds to read, and a machine that is busy ten times that. */
const broken = [...brokenBooks(document.contents, "")].filter((_, index) => index % 3 === 0);
const readingMsMax = 180_000;

describe("a broken book", () => {
  it(
    `is refused where it is broken, in each of ${broken.length} ways`,
    () => {
      expect(broken.length).toBeGreaterThan(300);
      const wrong = broken.flatMap(({ what, text: bad, line }) => {
        try {
          readBook(Buffer.from(bad));
          return [`${what}: not refused`];
        } catch (error) {
          if (!(error instanceof YamlError)) return [`${what}: ${error}`];
          const found = error.problems.map((problem) => problem.line);
          return found.includes(line)
            ? []
            : [`${what} in line ${line}: told in ${found} (${error.message})`];
        }
      });
      expect(wrong).toEqual([]);
    },
    readingMsMax,
  );

  it(
    "is underlined by editors too, unless only the whole can tell",
    () => {
      const schema = JSON.parse(readFileSync(join(books, "book.schema.json"), "utf8")) as object;
      const ajv = new Ajv2020({ strict: false, formats: { "date-time": true } });
      const validate = ajv.compile(schema);
      expect(validate(parse(text)), JSON.stringify(validate.errors)).toBe(true);
      const seen = broken.filter(({ what }) => /misspelt|another kind|unspecified/.test(what));
      const missed = seen.filter(({ text: bad }) => validate(parse(bad))).map(({ what }) => what);
      expect(missed).toEqual([]);
    },
    readingMsMax,
  );
});

describe("./mesh book", () => {
  const run = (...args: string[]) =>
    promisify(execFile)(process.execPath, [join(root, "cli/book.ts"), ...args], { cwd: root }).then(
      ({ stdout }) => ({ code: 0, stdout, stderr: "" }),
      ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({
        code,
        stdout,
        stderr,
      }),
    );

  it("lists, shows and checks", async () => {
    const [listed, shown, checked] = await Promise.all([
      run("list"),
      run("show", "sovr"),
      run("check", path),
    ]);
    expect(listed.stdout).toMatch(/sovr +1 +Milk, eggs and bread/);
    expect(shown.stdout).toMatch(/BUNDLE +7\.50 USD +3\.50 MILK_OBLIGATION, 2\.50 EGGS_OBLIGATION/);
    expect(checked).toMatchObject({ code: 0, stdout: expect.stringContaining(sovr.digest) });
  });

  it("says all that is wrong, each with file, line, column and path, and fails", async () => {
    const file = join(folder, "0001.yaml");
    writeFileSync(
      file,
      text
        .replace("class: TOKEN, assets", "class: TOKENS, assets")
        .replace('amount: "1.50" }]', 'amount: "1.505" }]'),
    );
    const { code, stderr } = await run("check", file);
    expect(code).toBe(1);
    const [, line] =
      /^.*0001\.yaml:(\d+):\d+: accounts\[11\]\.class: there is no class TOKENS$/m.exec(stderr) ??
      [];
    expect(text.split("\n")[Number(line) - 1]).toContain("TOKEN_RESERVE");
    expect(stderr).toMatch(/products\[2\]\.goods\[0\]\.amount: USD has 2 decimals/);
  });

  it("names what it was told wrong", async () => {
    const [none, wrong, odd] = await Promise.all([
      run("check", "nowhere"),
      run("eat", "sovr"),
      run("new", "A B"),
    ]);
    expect(none.stderr).toMatch(/there is no book nowhere/);
    expect(wrong.stderr).toMatch(/usage: \.\/mesh book list/);
    expect(odd.stderr).toMatch(/"A B" is no book's name/);
  });
});

/** What a version may change is told in words; what is for ever is refused at its place. */
describe("the version after", () => {
  const versions = (change: (second: string) => string): (() => Book) => {
    const place = mkdtempSync(join(folder, "book-"));
    writeFileSync(join(place, "0001.yaml"), text);
    const second = text
      .replace("number: 1\n", `number: 2\npredecessor: "${sovr.digest}"\n`)
      .replace("activeFrom: 2020-01-01", "activeFrom: 2026-01-01");
    writeFileSync(join(place, "0002.yaml"), change(second));
    return () => {
      const { versions: all, comparisons } = loadBook(place);
      said = comparisons.at(-1)?.changes ?? [];
      return all.at(-1) as Book;
    };
  };
  let said: readonly string[] = [];

  it.each([
    ["says nothing where nothing changed", (book: string) => book, []],
    [
      "adds an account",
      (book: string) =>
        book.replace(
          "  - { id: 7000001",
          "  - { id: 4000004, name: TEA_OBLIGATION, class: OBLIGATION, assets: [USD] }\n  - { id: 7000001",
        ),
      ["adds the account TEA_OBLIGATION (4000004)"],
    ],
    [
      "opens an account in another asset, and retires one",
      (book: string) =>
        book
          .replace(
            "name: CASH_ODFI, class: CASH, assets: [USD]",
            "name: CASH_ODFI, class: CASH, assets: [USD, SFIAT]",
          )
          .replace(
            "name: UTILITY_PROVIDERS, class: AGENT, assets: [USD, SFIAT]",
            "name: UTILITY_PROVIDERS, class: AGENT, assets: [USD, SFIAT], retired: true",
          ),
      ["opens CASH_ODFI in SFIAT", "retires the account UTILITY_PROVIDERS"],
    ],
    [
      "lets a rule run another way",
      (book: string) =>
        book.replace("credit: { classes: [TOKEN] } }", "credit: { classes: [TOKEN, RESERVE] } }"),
      [
        "TOKEN_BURN: 1 way that it had not (widens, or changes)",
        "TOKEN_BURN: 1 way less (narrows, or changes)",
      ],
    ],
  ])("%s", (_, change, expected) => {
    versions(change)();
    expect(said).toEqual(expected);
  });

  it.each([
    [
      "a scale",
      (book: string) =>
        book.replace("code: POSCR, name: POSCR, scale: 18", "code: POSCR, name: POSCR, scale: 8"),
      /assets\[2\]\.scale: was 18/,
    ],
    [
      "a class's type",
      (book: string) =>
        book.replace(
          "name: EXPENSE, type: ACCOUNT_TYPE_ASSET",
          "name: EXPENSE, type: ACCOUNT_TYPE_EXPENSE",
        ),
      /classes\[8\]\.type: was ASSET/,
    ],
    [
      "an account's class",
      (book: string) =>
        book.replace("name: AUDIT_TRAIL, class: MIRROR", "name: AUDIT_TRAIL, class: RESERVE"),
      /accounts\[10\]\.class: was MIRROR/,
    ],
    [
      "an account",
      (book: string) => book.replace(/ {2}- \{ id: 5000002.*\n/, ""),
      /accounts: AUDIT_TRAIL \(5000002\) is gone/,
    ],
    [
      "an account's asset",
      (book: string) =>
        book.replace(
          "name: FEES, class: EXPENSE, assets: [USD, SFIAT, POSCR]",
          "name: FEES, class: EXPENSE, assets: [USD]",
        ),
      /accounts\[12\]\.assets: SFIAT, POSCR is gone/,
    ],
    [
      "a price",
      (book: string) => book.replace('amount: "1.50" }]', 'amount: "1.60" }]'),
      /products\[2\]\.goods: BREAD costs what it did/,
    ],
    [
      "its predecessor",
      (book: string) => book.replace(sovr.digest, "00".repeat(32)),
      /predecessor: the file of version 1 has/,
    ],
    [
      "its time",
      (book: string) => book.replace("activeFrom: 2026-01-01", "activeFrom: 2020-01-01"),
      /active_from: is later than/,
    ],
    [
      "its number",
      (book: string) => book.replace("number: 2", "number: 3"),
      /number: is 3 in a file that is called 0002\.yaml/,
    ],
  ])("does not change %s", (_, change, why) => {
    expect(versions(change)).toThrow(why);
    expect(versions(change)).toThrow(/0002\.yaml/);
  });
});
