// Goal: every service can be understood, changed and run alone. Method: the imports of every file below services/.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const services = fileURLToPath(new URL("../../services/", import.meta.url));

/** What a text imports, in whatever way: from "x", import "x", import("x"), new URL("x", import.meta.url). */
function importsOf(text: string): string[] {
  const pattern = /(?:\bfrom\s*|\bimport\s*\(?\s*|\bnew URL\(\s*)(["'])(?<specifier>[^"'\n]+)\1/g;
  return [...text.matchAll(pattern)].map(({ groups }) => groups?.["specifier"] ?? "");
}

/** The folder below services/ in which an import of a file ends; undefined outside. */
function folderOf(file: string, specifier: string): string | undefined {
  const path = specifier.replace(/^#common\//, `${services}common/`);
  if (!path.startsWith(".") && !path.startsWith(services)) return undefined;
  const place = relative(services, resolve(dirname(file), path));
  return place.startsWith("..") ? undefined : place.split("/")[0];
}

/** Imports from one service into another, or from common into a service. */
function trespasses(file: string, text: string): string[] {
  const own = relative(services, file).split("/")[0];
  return importsOf(text)
    .filter((specifier) => ![undefined, own, "common"].includes(folderOf(file, specifier)))
    .map((specifier) => `${relative(services, file)} imports ${specifier}`);
}

const sources = readdirSync(services, { recursive: true, encoding: "utf8" })
  .filter((path) => /\.tsx?$/.test(path) && !/(^|\/)(dist|node_modules)\//.test(path))
  .map((path) => join(services, path));

test("no service imports another, and common imports none", () => {
  expect(sources.length).toBeGreaterThan(100);
  expect(sources.flatMap((file) => trespasses(file, readFileSync(file, "utf8")))).toEqual([]);
});

test.each([
  ["ledger/x.ts", 'import { a } from "../clearing/a.ts";'],
  ["ledger/deep/x.ts", 'export * from "../../clearing/a.ts";'],
  ["ledger/x.ts", 'import "../clearing/a.ts";'],
  ["ledger/x.ts", 'const a = await import("../clearing/a.ts");'],
  ["ledger/x.ts", 'import {\n  type A,\n} from "#common/../clearing/a.ts";'],
  ["common/x.ts", 'new Worker(new URL("../clearing/a.ts", import.meta.url));'],
])("in %s it sees %s", (path, text) => {
  expect(trespasses(join(services, path), text)).toHaveLength(1);
});

test.each([
  ["ledger/x.ts", 'import { a } from "./clearing/a.ts";'],
  ["ledger/x.ts", 'import { a } from "../common/a.ts";'],
  ["ledger/x.ts", 'import { a } from "#common/a.ts";'],
  ["ledger/x.test.ts", 'import { a } from "../../test/support/a.ts";'],
  ["ledger/x.ts", 'import { a } from "clearing";'],
])("in %s it lets pass %s", (path, text) => {
  expect(trespasses(join(services, path), text)).toEqual([]);
});
