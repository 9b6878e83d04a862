import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { LineCounter, parseDocument } from "yaml";
import { DomainError } from "#common/domain-error.ts";
import { readJson } from "#common/rpc/strict/read-request.ts";
import { createRequestValidator } from "#common/rpc/strict/validate.ts";

/** Where in a file a field stands: the line, from 1, of what is nearest to it. */
export type LineOf = (field: string) => number;

/** A message that was read from a file, and where its fields stand there. */
export interface ReadYaml<Desc extends DescMessage> {
  readonly message: MessageShape<Desc>;
  readonly lineOf: LineOf;
}

/**
 * Reads a message from YAML (and so from JSON) in the JSON mapping of protobuf, strictly: unknown and duplicate keys, values
 * of another kind and what breaks the rules of the proto are refused. Throws Error that names the line and the field.
 */
export function readYaml<Desc extends DescMessage>(schema: Desc, text: string): ReadYaml<Desc> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [fault] = [...document.errors, ...document.warnings];
  if (fault !== undefined) throw at(lines.linePos(fault.pos[0]).line, "", fault.message);
  const lineOf: LineOf = (field) => {
    const offset = offsetOf(document.contents, stepsOf(field));
    return offset === undefined ? 1 : lines.linePos(offset).line;
  };
  try {
    const message = readJson(schema, JSON.stringify(document.toJS({ maxAliasCount: 0 })));
    createRequestValidator().check(schema, message);
    return { message, lineOf };
  } catch (error) {
    const [violation] = error instanceof DomainError ? error.violations : [];
    if (violation === undefined) throw error;
    const { field, description } = violation;
    throw at(lineOf(field), field, description);
  }
}

/** The refusal of what stands at a line of a file. */
export function at(line: number, field: string, description: string): Error {
  return new Error(`line ${line}: ${field === "" ? "" : `${field}: `}${description}`);
}

/** The steps of a path such as `rules[0].of[1].address`. */
function stepsOf(field: string): readonly string[] {
  return field.split(/[.[\]]/).filter((step) => step !== "");
}

/** What this needs to know of a node of YAML. */
interface Node {
  readonly range?: readonly number[] | null;
  get?(key: string | number, keepScalar: true): unknown;
}

/** The offset of the innermost node on the way to a field that is there. */
function offsetOf(root: Node | null, steps: readonly string[]): number | undefined {
  let node = root;
  let offset = root?.range?.[0];
  for (const step of steps) {
    const key = /^\d+$/.test(step) ? Number(step) : step;
    node = childOf(node, key) ?? childOf(node, camelCase(step));
    if (node === null) break;
    offset = node.range?.[0] ?? offset;
  }
  return offset;
}

function childOf(node: Node | null, key: string | number): Node | null {
  const child: unknown = node?.get?.(key, true);
  return typeof child === "object" ? (child as Node | null) : null;
}

/** Paths are made of the proto's names; files may have either. */
function camelCase(step: string): string {
  return step.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
