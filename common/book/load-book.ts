import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { placesIn, YamlError, type YamlProblem } from "#common/yaml/read-yaml.ts";
import type { Book } from "./book.ts";
import { type Comparison, compareBooks } from "./compare.ts";
import { bookBytesMax, readBook } from "./read-book.ts";

/** A book's versions, oldest first, and what each changed against the one before it. */
export interface BookFolder {
  readonly versions: readonly Book[];
  readonly comparisons: readonly Comparison[];
}

/** Files of a book that are refused. Its message has a line for each problem: file:line:column: path: what. */
export class BookError extends Error {
  override readonly name = "BookError";
  /** As lines. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}

const fileName = /^([0-9]{4})\.ya?ml$/;

/**
 * Reads a book: a folder of `0001.yaml`, `0002.yaml`, …, or one file of it with those before it. Each must follow from the one
 * before. Throws BookError, and what the file system says.
 */
export function loadBook(path: string): BookFolder {
  const isFolder = statSync(path).isDirectory();
  const folder = isFolder ? path : join(path, "..");
  const last = isFolder ? undefined : basename(path);
  if (last !== undefined && !fileName.test(last))
    throw new BookError([`${path}: a version of a book is called 0001.yaml, 0002.yaml and so on`]);
  const names = readdirSync(folder)
    .filter((name) => fileName.test(name) && (last === undefined || name <= last))
    .sort();
  if (names.length === 0) throw new BookError([`${path}: there is no 0001.yaml`]);
  const versions: Book[] = [];
  const comparisons: Comparison[] = [];
  for (const [index, name] of names.entries()) {
    const file = join(folder, name);
    const expected = `${String(index + 1).padStart(4, "0")}`;
    if (!name.startsWith(expected))
      throw new BookError([`${file}: ${expected}.yaml comes before it`]);
    const book = readFile(file);
    if (book.number !== index + 1)
      throw new BookError([`${file}: number: is ${book.number} in a file that is called ${name}`]);
    const before = versions.at(-1);
    if (before !== undefined) comparisons.push(compareOrRefuse(before, book, file));
    versions.push(book);
  }
  return { versions, comparisons };
}

function readFile(file: string): Book {
  if (statSync(file).size > bookBytesMax)
    throw new BookError([`${file}: it is larger than ${bookBytesMax} bytes`]);
  try {
    return readBook(readFileSync(file));
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    throw new BookError(error.problems.map((problem) => problemLine(file, problem)));
  }
}

function problemLine(file: string, { line, column, field, description }: YamlProblem): string {
  return `${file}:${line}:${column}: ${field === "" ? "" : `${field}: `}${description}`;
}

function compareOrRefuse(before: Book, book: Book, file: string): Comparison {
  const comparison = compareBooks(before, book);
  if (comparison.breaks.length === 0) return comparison;
  const placeOf = placesIn(readFileSync(file, "utf8"));
  throw new BookError(
    comparison.breaks.map(({ field, description }) =>
      problemLine(file, { ...placeOf(field), field, description }),
    ),
  );
}
