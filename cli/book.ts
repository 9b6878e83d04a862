import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { BookError, type BookFolder, loadBook } from "#common/book/load-book.ts";
import { bookText } from "./book/show.ts";
import { skeleton } from "./book/skeleton.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { table } from "./command/text.ts";
import { repositoryRoot } from "./state/settings.ts";
import { writeWholeOnce } from "./state/write-whole.ts";

const usage = "./mesh book list | show BOOK | check BOOK | new NAME";
const booksFolder = join(repositoryRoot, "books");

/** Businesses as data: what there is, what one says, whether it holds, and a new one to begin with. BOOK: a name, or a path. */
runCommand(async () => {
  const { positionals } = readArguments({}, usage);
  const [action, name, ...more] = positionals;
  if (more.length > 0) throw new Problem(`usage: ${usage}`);
  if (action === "list" && name === undefined) return list();
  if (action === "new" && name !== undefined) return begin(name);
  if (name === undefined || (action !== "show" && action !== "check"))
    throw new Problem(`usage: ${usage}`);
  const path = pathOf(name);
  const found = load(path);
  if (found === undefined) return 1;
  const latest = found.versions.at(-1);
  if (action === "check") console.log(checkText(path, found));
  else if (latest !== undefined) console.log(bookText(latest));
  return 0;
});

function list(): number {
  const names = readdirSync(booksFolder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();
  const rows = names.map((name) => {
    const latest = load(join(booksFolder, name))?.versions.at(-1);
    return latest === undefined
      ? [name, "", "it does not hold: ./mesh book check says why", ""]
      : [name, String(latest.number), latest.title, latest.digest.slice(0, 12)];
  });
  console.log(table([["book", "version", "title", "digest"], ...rows]));
  return rows.every(([, version]) => version !== "") ? 0 : 1;
}

/** Writes the first version of a new book, and never over another. */
function begin(name: string): number {
  if (!/^[a-z][a-z0-9-]{0,39}$/.test(name))
    throw new Problem(`"${name}" is no book's name: 1 to 40 of a-z, 0-9 and -, first a letter`);
  const folder = join(booksFolder, name);
  const file = join(folder, "0001.yaml");
  mkdirSync(folder, { recursive: true });
  if (!writeWholeOnce(file, skeleton(name, "../book.schema.json")))
    throw new Problem(`${relative(repositoryRoot, file)} is there already`);
  console.log(relative(process.cwd(), file));
  return 0;
}

/** A name is one of books/; everything with a slash or a point is a path. */
function pathOf(name: string): string {
  const path = /[/.]/.test(name) ? resolve(name) : join(booksFolder, name);
  if (!existsSync(path)) throw new Problem(`there is no book ${name}: ./mesh book list shows them`);
  return path;
}

/** Undefined after saying all that is wrong, a line each, as compilers do. */
function load(path: string): BookFolder | undefined {
  try {
    return loadBook(path);
  } catch (error) {
    if (!(error instanceof BookError)) throw error;
    for (const problem of error.problems)
      console.error(problem.replaceAll(`${process.cwd()}/`, ""));
    return undefined;
  }
}

function checkText(path: string, { versions, comparisons }: BookFolder): string {
  const count = versions.length === 1 ? "1 version" : `${versions.length} versions`;
  return [
    `${relative(process.cwd(), path)} holds: ${count}`,
    ...comparisons.flatMap(({ changes }, index) => [
      `version ${index + 2}:`,
      ...(changes.length === 0 ? ["  changes nothing"] : changes.map((change) => `  ${change}`)),
    ]),
    `digest ${versions.at(-1)?.digest}`,
  ].join("\n");
}
