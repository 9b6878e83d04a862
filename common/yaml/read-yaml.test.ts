import { describe, expect, it } from "vitest";
import { BookSchema } from "#gen/sovr/book/v1/book_pb.ts";
import { placesIn, readYaml, YamlError, type YamlProblem } from "./read-yaml.ts";

function problemsOf(text: string): readonly YamlProblem[] {
  try {
    readYaml(BookSchema, text);
    return [];
  } catch (error) {
    if (error instanceof YamlError) return error.problems;
    throw error;
  }
}

describe("readYaml", () => {
  it("tells all that breaks the rules of the proto, each at its place", () => {
    const problems = problemsOf('name: Zoo\ntitle: ""\nnumber: 0\n');
    expect(problems.map(({ line, column, field }) => [line, column, field])).toEqual(
      expect.arrayContaining([
        [1, 1, "name"],
        [2, 1, "title"],
        [3, 1, "number"],
      ]),
    );
  });

  it.each([
    ["a key twice", "name: zoo\nname: zoo\n", 2, /unique/],
    ["a key that nobody knows", "name: zoo\nnmae: zoo\n", 2, /no such field/],
    ["an alias, which repeats without end", "name: &a zoo\ntitle: *a\n", 2, /alias/],
    ["a tag, which makes other things of values", "name: !!binary em9v\n", 1, /the tag/],
    ["a number where a text belongs", "name: 12\n", 1, /must be a text/],
    ["what is no YAML", "name: [zoo\n", 2, /flow|end/i],
    ["a key without a value", "name: zoo\napprovals:\n", 2, /a key without a value/],
    ["a null that is said", "name: zoo\nnumber: null\n", 2, /a key without a value/],
    ["two documents", "name: zoo\n---\nname: zoo\n", 2, /document/],
    ["a list where a book belongs", "- name: zoo\n", 1, /./],
    ["nothing", "", 1, /./],
  ])("refuses %s", (_, text, line, description) => {
    const [problem] = problemsOf(text);
    expect(problem?.description).toMatch(description);
    expect(problem?.line).toBe(line);
  });

  it("refuses what is nested without end, and does not look for its end", () => {
    for (const text of ["[".repeat(1_000_000), "{a: ".repeat(100_000), "- ".repeat(50_000)])
      expect(problemsOf(text)[0]?.description).toMatch(/nested deeper than 100 levels/);
  });
});

it("placesIn finds a field, or what of the way to it is there", () => {
  const placeOf = placesIn("name: zoo\nassets:\n  - { ledger: 1, code: USD }\n");
  expect(placeOf("assets[0].code")).toEqual({ line: 3, column: 18 });
  expect(placeOf("assets[0].scale")).toEqual({ line: 3, column: 5 });
  expect(placeOf("assets")).toEqual({ line: 2, column: 1 });
  expect(placeOf("rules[3]")).toEqual({ line: 1, column: 1 });
});
