// Goal: what docs/threat-model.md says is tested, is. Method: every test that it names, against the file that it is said to be
// in; every threat of its tables has one.
import { existsSync, readFileSync } from "node:fs";
import { join, normalize } from "node:path";
import { describe, expect, it } from "vitest";

const docs = join(import.meta.dirname, "../../docs");
const page = readFileSync(join(docs, "threat-model.md"), "utf8");

const defended = page.split("## What is defended")[1]?.split("\n## ")[0] ?? "";
const rows = defended
  .split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| threat |"))
  .map((line) => line.split(" | "));

interface Named {
  readonly file: string;
  readonly title: string;
}

/** The tests of a cell: a file, and behind it one title after the other. */
function testsIn(cell: string): Named[] {
  return [...cell.matchAll(/\]\(\.\.\/([^)]+)\): ((?:\*[^*]+\*(?:; )?)+)/g)].flatMap(
    ([, file = "", titles = ""]) =>
      [...titles.matchAll(/\*([^*]+)\*/g)].map(([, title = ""]) => ({ file, title })),
  );
}

describe.each(rows.map(([threat = "", , tests = ""]) => [threat.slice(2), tests] as const))(
  "%s",
  (_threat, cell) => {
    it("is answered by tests that are there", () => {
      const named = testsIn(cell);
      expect(named).not.toEqual([]);
      for (const { file, title } of named) {
        const path = normalize(join(docs, "..", file));
        expect(existsSync(path), file).toBe(true);
        // As a title is written, in whatever quotes.
        const quoted = [`"${title}"`, `\`${title}\``, `"${title.replaceAll('"', '\\"')}"`];
        const source = readFileSync(path, "utf8");
        expect(
          quoted.some((text) => source.includes(text)),
          `${file}: ${title}`,
        ).toBe(true);
      }
    });
  },
);

it("has a row for every kind of test there is against intruders", () => {
  const all = rows.flatMap(([, , tests = ""]) => testsIn(tests)).map(({ file }) => file);
  for (const name of ["credentials", "crossing", "bombs", "paths", "injection", "ids-and-dates"])
    expect(all).toContain(`test/abuse/intruder/${name}.ts`);
  for (const name of ["simulator", "slow", "aftermath"])
    expect(all).toContain(`test/abuse/intruder/${name}.ts`);
  expect(rows.length).toBeGreaterThan(25);
});
