import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import {
  type Document,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from "yaml";
import { DomainError } from "#common/domain-error.ts";
import { readJson } from "#common/rpc/strict/read-request.ts";
import { createRequestValidator } from "#common/rpc/strict/validate.ts";

/** Where something stands in a file; both from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Where in a file a field stands, or what of the way to it is there. */
export type PlaceOf = (field: string) => Place;

/** Something that is wrong in a file. */
export interface YamlProblem extends Place {
  /** The path to it, in the names of the proto; "" where it is the file's own. */
  readonly field: string;
  readonly description: string;
}

/** A file that is refused, with all that is wrong in it as far as it could be read. Its message tells the first. */
export class YamlError extends Error {
  override readonly name = "YamlError";
  readonly problems: readonly YamlProblem[];

  constructor(problems: readonly [YamlProblem, ...YamlProblem[]]) {
    const [{ line, field, description }] = problems;
    super(`line ${line}: ${field === "" ? "" : `${field}: `}${description}`);
    this.problems = problems;
  }
}

/** A message that was read from a file, and where its fields stand there. */
export interface ReadYaml<Desc extends DescMessage> {
  readonly message: MessageShape<Desc>;
  readonly placeOf: PlaceOf;
}

/** What is nested deeper is no business of anybody's; parsers of trees would end the process at some depth. */
const depthMax = 100;

/**
 * Reads a message from YAML (and so from JSON) in the JSON mapping of protobuf, strictly: unknown and duplicate keys, aliases,
 * tags, values of another kind and what breaks the rules of the proto are refused. Throws YamlError.
 */
export function readYaml<Desc extends DescMessage>(schema: Desc, text: string): ReadYaml<Desc> {
  const lines = new LineCounter();
  const document = parseFlat(text, lines);
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  refuse(
    [...document.errors, ...document.warnings].map(({ pos: [offset], message }) => ({
      ...placeAt(offset),
      field: "",
      description: message,
    })),
  );
  refuse(
    [...indirections(document)].map(({ offset, description }) => ({
      ...placeAt(offset),
      field: "",
      description,
    })),
  );
  const placeOf: PlaceOf = (field) => {
    const offset = offsetOf(document.contents, stepsOf(field));
    return offset === undefined ? { line: 1, column: 1 } : placeAt(offset);
  };
  try {
    const message = readJson(schema, JSON.stringify(document.toJS()));
    createRequestValidator().check(schema, message);
    return { message, placeOf };
  } catch (error) {
    const violations = error instanceof DomainError ? error.violations : [];
    refuse(violations.map(({ field, description }) => ({ ...placeOf(field), field, description })));
    throw error;
  }
}

/** Finds the places of fields in a file that was read before. */
export function placesIn(text: string): PlaceOf {
  const lines = new LineCounter();
  const { contents } = parseFlat(text, lines);
  return (field) => {
    const { line, col } = lines.linePos(offsetOf(contents, stepsOf(field)) ?? 0);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
}

function parseFlat(text: string, lineCounter: LineCounter) {
  if (deepest(text) > depthMax) {
    const description = `it is nested deeper than ${depthMax} levels`;
    throw new YamlError([{ line: 1, column: 1, field: "", description }]);
  }
  return parseDocument(text, { lineCounter, prettyErrors: false });
}

/** At least as deep as the document is: by brackets, and by indentation, of which each level takes a character. */
function deepest(text: string): number {
  let open = 0;
  let most = 0;
  for (const character of text) {
    if (character === "[" || character === "{") open += 1;
    else if ((character === "]" || character === "}") && open > 0) open -= 1;
    most = Math.max(most, open);
  }
  const indents = text.split("\n").map((line) => /^[ -]*/.exec(line)?.[0].length ?? 0);
  return most + Math.floor(indents.reduce((one, other) => Math.max(one, other), 0) / 2);
}

interface Indirection {
  readonly offset: number;
  readonly description: string;
}

/** What says something else than it seems to: aliases, by which a file may repeat without end, and tags. */
function indirections(document: Document.Parsed): readonly Indirection[] {
  const found: Indirection[] = [];
  const note = (range: readonly number[] | null | undefined, what: string) => {
    const description = `${what} is not taken here: write what is meant`;
    found.push({ offset: range?.[0] ?? 0, description });
  };
  visit(document, {
    Alias: (_, { range }) => note(range, "an alias"),
    Value(_, node) {
      if (node.tag !== undefined) note(node.range, `the tag ${node.tag}`);
      if (!isScalar(node)) return;
      // It would be read as if the key were not there.
      if (node.value === null) note(node.range, "a key without a value");
      if (typeof node.value === "number" && !Number.isFinite(node.value))
        note(node.range, "what is no number");
    },
  });
  return found;
}

function refuse(problems: readonly YamlProblem[]): void {
  const [first, ...others] = problems;
  if (first !== undefined) throw new YamlError([first, ...others]);
}

/** The steps of a path such as `rules[0].of[1].address`. */
function stepsOf(field: string): readonly string[] {
  return field.split(/[.[\]]/).filter((step) => step !== "");
}

/** The offset of the innermost field on the way to one, as far as that is there: of its key, or of an item of a list. */
function offsetOf(root: Node | null, steps: readonly string[]): number | undefined {
  let node: unknown = root;
  let offset = root?.range?.[0];
  for (const step of steps) {
    const found = childOf(node, step) ?? childOf(node, camelCase(step));
    if (found === undefined) break;
    node = found.node;
    offset = found.offset ?? offset;
  }
  return offset;
}

interface Child {
  readonly node: unknown;
  readonly offset: number | undefined;
}

function childOf(node: unknown, step: string): Child | undefined {
  if (isSeq(node)) {
    const item = node.items[Number(step)];
    return isNode(item) ? { node: item, offset: item.range?.[0] } : undefined;
  }
  if (!isMap(node)) return undefined;
  const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === step);
  if (pair === undefined) return undefined;
  return { node: pair.value, offset: isNode(pair.key) ? pair.key.range?.[0] : undefined };
}

/** Paths are made of the proto's names; files may have either. */
function camelCase(step: string): string {
  return step.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
