import { createHash } from "node:crypto";
import { type ApprovalWords, readApprovalRules } from "#common/approval/read-policies.ts";
import { asError } from "#common/domain-error.ts";
import { readYaml, YamlError } from "#common/yaml/read-yaml.ts";
import { type Book as BookProto, BookSchema } from "#gen/sovr/book/v1/book_pb.ts";
import type { Book } from "./book.ts";
import { readChart } from "./reading/chart.ts";
import { Reading } from "./reading/reading.ts";
import { readRoles } from "./reading/roles.ts";
import { readLimits, readRules } from "./reading/rules.ts";
import { readFees, readMerchants, readProducts } from "./reading/trade.ts";
import { deadWays } from "./ways.ts";

/** A book is some thousand lines; what is larger is something else. */
export const bookBytesMax = 4 * 1024 * 1024;

/**
 * Reads a version of a book, YAML or JSON in the JSON mapping of sovr.book.v1.Book, and checks it as a whole: that names stand
 * for something, once, and that what it says can be. Throws YamlError with all that is wrong, each with its place.
 */
export function readBook(bytes: Uint8Array): Book {
  const text = decode(bytes);
  const { message, placeOf } = readYaml(BookSchema, text);
  const reading = new Reading(placeOf);
  checkVersion(message, reading);
  readChart(message, reading);
  readRules(message, reading);
  const book: Book = {
    name: message.name,
    title: message.title,
    number: message.number,
    activeFrom: message.activeFrom?.seconds ?? 0n,
    predecessor: message.predecessor,
    digest: createHash("sha256").update(bytes).digest("hex"),
    assets: [...reading.assets.values()],
    classes: [...reading.classes.values()],
    accounts: [...reading.accounts.values()],
    rules: [...reading.rules.values()],
    limits: readLimits(message, reading),
    approvals: readApprovals(message, reading),
    merchants: readMerchants(message, reading),
    products: readProducts(message, reading),
    fees: readFees(message, reading),
    roles: readRoles(message, reading),
  };
  for (const { rule, way } of deadWays(book))
    reading.wrong(`rules[${rule}].ways[${way}]`, "no asset has accounts on both sides");
  const [first, ...others] = reading.problems;
  if (first !== undefined) throw new YamlError([first, ...others]);
  return book;
}

function decode(bytes: Uint8Array): string {
  const whole = { line: 1, column: 1, field: "" };
  if (bytes.length > bookBytesMax)
    throw new YamlError([{ ...whole, description: `it is larger than ${bookBytesMax} bytes` }]);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    const description = `it is not UTF-8: ${asError(error).message}`;
    throw new YamlError([{ ...whole, description }]);
  }
}

function checkVersion({ number, predecessor, activeFrom }: BookProto, reading: Reading): void {
  if (activeFrom?.nanos !== 0) reading.wrong("active_from", "must be whole seconds");
  if (number === 1 && predecessor !== "")
    reading.wrong("predecessor", "version 1 has none before it");
  if (number > 1 && predecessor === "")
    reading.wrong("predecessor", `must be the SHA-256 of the file of version ${number - 1}`);
}

/** The approvals of a book are in its own words. What is wrong with them is found one at a time. */
function readApprovals({ approvals }: BookProto, reading: Reading): Book["approvals"] {
  if (approvals === undefined) return [];
  const byLedger = new Map([...reading.assets.values()].map((asset) => [asset.ledger, asset]));
  const words: ApprovalWords = {
    codeOf: (name) => reading.rules.get(name)?.code,
    hasClass: (name) => reading.classes.has(name),
    scaleOf: (ledger) => byLedger.get(ledger)?.scale,
  };
  const stop = new Error("the first fault was noted");
  try {
    return readApprovalRules(approvals, "approvals", words, (field, description) => {
      reading.wrong(field, description);
      throw stop;
    });
  } catch (error) {
    if (error !== stop) throw error;
    return [];
  }
}
