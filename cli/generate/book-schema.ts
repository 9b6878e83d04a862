import {
  type DescEnum,
  type DescField,
  type DescFile,
  type DescMessage,
  getOption,
  hasOption,
  ScalarType,
} from "@bufbuild/protobuf";
import { getComments } from "@bufbuild/protoplugin";
import { type FieldRules, field as fieldRules } from "#gen/buf/validate/validate_pb.ts";

type Schema = Readonly<Record<string, unknown>>;

/**
 * The JSON Schema of a book, by path from the root: what editors complete and underline by. It says what the proto says of
 * each field; that names stand for something only `./mesh book check` knows.
 */
export function bookSchema(files: readonly DescFile[]): Readonly<Record<string, string>> {
  const book = files
    .flatMap((file) => file.messages)
    .find(({ typeName }) => typeName === "sovr.book.v1.Book");
  if (book === undefined) throw new Error("proto/ declares no Book");
  const definitions = new Map<string, Schema>();
  const root = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "A book of SOVR Mesh",
    ...messageSchema(book, definitions),
    $defs: Object.fromEntries([...definitions].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
  return { "books/book.schema.json": `${JSON.stringify(root, null, 2)}\n` };
}

function messageSchema(message: DescMessage, definitions: Map<string, Schema>): Schema {
  const required = message.fields.filter((one) => rulesOf(one)?.required === true);
  return {
    description: commentOf(message),
    type: "object",
    // Files are read strictly.
    additionalProperties: false,
    properties: Object.fromEntries(
      message.fields.map((one) => [one.jsonName, fieldSchema(one, definitions)]),
    ),
    ...(required.length === 0 ? {} : { required: required.map(({ jsonName }) => jsonName) }),
  };
}

function fieldSchema(one: DescField, definitions: Map<string, Schema>): Schema {
  const description = commentOf(one);
  const rules = rulesOf(one);
  if (one.fieldKind !== "list") return { description, ...valueSchema(one, rules, definitions) };
  const list = rules?.type.case === "repeated" ? rules.type.value : undefined;
  return {
    description,
    type: "array",
    ...whole("minItems", list?.minItems),
    ...whole("maxItems", list?.maxItems),
    ...(list?.unique === true ? { uniqueItems: true } : {}),
    items: valueSchema(one, list?.items, definitions),
  };
}

function valueSchema(
  one: DescField,
  rules: FieldRules | undefined,
  definitions: Map<string, Schema>,
): Schema {
  if (one.message !== undefined) return referTo(one.message, definitions);
  if (one.enum !== undefined) return enumSchema(one.enum);
  if (one.scalar === ScalarType.BOOL) return { type: "boolean" };
  if (one.scalar === ScalarType.STRING) {
    const text = rules?.type.case === "string" ? rules.type.value : undefined;
    return {
      type: "string",
      ...whole("minLength", text?.minLen),
      ...whole("maxLength", text?.maxLen),
      ...(text?.pattern ? { pattern: text.pattern } : {}),
    };
  }
  const number = rules?.type.case === "uint32" ? rules.type.value : undefined;
  const least = number?.greaterThan.case === "gte" ? number.greaterThan.value : 0;
  const most = number?.lessThan.case === "lte" ? number.lessThan.value : 4_294_967_295;
  const not = number?.notIn ?? [];
  return {
    type: "integer",
    minimum: least,
    maximum: most,
    ...(not.length === 0 ? {} : { not: { enum: not } }),
  };
}

/** A message stands once, whoever has it. A time is a text. */
function referTo(message: DescMessage, definitions: Map<string, Schema>): Schema {
  if (message.typeName === "google.protobuf.Timestamp")
    return { type: "string", format: "date-time" };
  if (!definitions.has(message.name)) {
    definitions.set(message.name, {}); // so that it may hold itself
    definitions.set(message.name, messageSchema(message, definitions));
  }
  return { $ref: `#/$defs/${message.name}` };
}

function enumSchema({ values }: DescEnum): Schema {
  return { enum: values.filter(({ number }) => number !== 0).map(({ name }) => name) };
}

function rulesOf(one: DescField): FieldRules | undefined {
  return hasOption(one, fieldRules) ? getOption(one, fieldRules) : undefined;
}

function whole(name: string, value: bigint | undefined): Schema {
  return value === undefined || value === 0n ? {} : { [name]: Number(value) };
}

function commentOf(item: DescMessage | DescField): string {
  return (getComments(item).leading ?? "").replaceAll(/\s+/g, " ").trim();
}
