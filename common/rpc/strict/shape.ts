import {
  type DescField,
  type DescMessage,
  getOption,
  hasOption,
  ScalarType,
} from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import { field as fieldRules } from "#gen/buf/validate/validate_pb.ts";

/** What a field's value looks like, in both encodings. */
export type ValueKind =
  | "string"
  | "bool"
  | "int32"
  | "uint32"
  | "int64"
  | "uint64"
  | "enum"
  | "message";

/** A field, as far as spellings of it differ. */
export interface FieldShape {
  /** Its name in the proto, of which paths are made. */
  readonly name: string;
  readonly kind: ValueKind;
  readonly wireType: WireType;
  readonly isList: boolean;
  /** The most items of a list, as its rule says; without one, no bound. */
  readonly itemsMax: number;
  /** A bit of its own among the fields of its message that are no lists; 0 for a list. */
  readonly bit: number;
  /** A bit of its own for the oneof that it is a member of; 0 for none. */
  readonly oneofBit: number;
  readonly oneofName: string;
  /** The names of an enum's values; empty for other kinds. */
  readonly enumNames: ReadonlySet<string>;
  /** The shape of a message; undefined for other kinds. */
  readonly message: MessageShape | undefined;
}

/** A message, as far as spellings of it differ. */
export interface MessageShape {
  readonly typeName: string;
  /** How its JSON is a text; undefined where it is an object. */
  readonly text: "Timestamp" | "Duration" | undefined;
  /** By number. */
  readonly byNumber: readonly (FieldShape | undefined)[];
  /** By both names that JSON knows, `intentId` and `intent_id`. */
  readonly byKey: ReadonlyMap<string, FieldShape>;
}

/** As many fields and oneofs of a message as fit into the bits of a number. */
const bitsMax = 31;
/** Field numbers are looked up in an array. */
const fieldNumberMax = 1_000;

const texts: Readonly<Record<string, MessageShape["text"]>> = {
  "google.protobuf.Timestamp": "Timestamp",
  "google.protobuf.Duration": "Duration",
};

const shapes = new WeakMap<DescMessage, MessageShape>();

/**
 * The shape of a request. Throws if it holds what has several spellings that mean different things to different
 * readers (numbers with a point, bytes, maps, groups, types with a JSON form of their own): no service starts with one.
 */
export function shapeOf(schema: DescMessage): MessageShape {
  const known = shapes.get(schema);
  if (known !== undefined) return known;
  const text = texts[schema.typeName];
  if (text === undefined && schema.typeName.startsWith("google.protobuf."))
    throw unsupported(schema.typeName);
  const byNumber: (FieldShape | undefined)[] = [];
  const byKey = new Map<string, FieldShape>();
  const shape = { typeName: schema.typeName, text, byNumber, byKey };
  // Before its fields, of which one may be of this very type.
  shapes.set(schema, shape);
  const bits = new Bits(schema);
  const oneofBits = new Map<string, number>();
  for (const field of schema.fields) {
    if (field.number > fieldNumberMax) throw unsupported(`${field}: its number`);
    const oneofName = field.oneof?.name ?? "";
    if (oneofName !== "" && !oneofBits.has(oneofName)) oneofBits.set(oneofName, bits.next());
    const fieldShape = {
      ...valueShapeOf(field),
      name: field.name,
      isList: field.fieldKind === "list",
      itemsMax: itemsMaxOf(field),
      bit: field.fieldKind === "list" ? 0 : bits.next(),
      oneofName,
      oneofBit: oneofBits.get(oneofName) ?? 0,
    };
    byNumber[field.number] = fieldShape;
    byKey.set(field.name, fieldShape).set(field.jsonName, fieldShape);
  }
  return shape;
}

function itemsMaxOf(field: DescField): number {
  const rules = hasOption(field, fieldRules) ? getOption(field, fieldRules).type : undefined;
  const max = rules?.case === "repeated" ? rules.value.maxItems : 0n;
  return max > 0n ? Number(max) : Number.POSITIVE_INFINITY;
}

class Bits {
  readonly #schema: DescMessage;
  #used = 0;

  constructor(schema: DescMessage) {
    this.#schema = schema;
  }

  next(): number {
    if (this.#used >= bitsMax) throw unsupported(`${this.#schema}: more than ${bitsMax} fields`);
    this.#used += 1;
    return 2 ** (this.#used - 1);
  }
}

type Value = Pick<FieldShape, "kind" | "wireType" | "enumNames" | "message">;

const noNames: ReadonlySet<string> = new Set();

function valueShapeOf(field: DescField): Value {
  if (field.message !== undefined && field.fieldKind !== "map") {
    if (field.delimitedEncoding === true) throw unsupported(`${field}: a group`);
    const message = shapeOf(field.message);
    return { kind: "message", wireType: WireType.LengthDelimited, enumNames: noNames, message };
  }
  if (field.enum !== undefined && field.fieldKind !== "map") {
    const enumNames = new Set(field.enum.values.flatMap(({ name, jsonName }) => [name, jsonName]));
    return { kind: "enum", wireType: WireType.Varint, enumNames, message: undefined };
  }
  const kind = field.fieldKind === "map" ? undefined : scalarKinds.get(field.scalar);
  if (kind === undefined) throw unsupported(String(field));
  const wireType = kind === "string" ? WireType.LengthDelimited : WireType.Varint;
  return { kind, wireType, enumNames: noNames, message: undefined };
}

const scalarKinds = new Map<ScalarType | undefined, ValueKind>([
  [ScalarType.STRING, "string"],
  [ScalarType.BOOL, "bool"],
  [ScalarType.INT32, "int32"],
  [ScalarType.UINT32, "uint32"],
  [ScalarType.INT64, "int64"],
  [ScalarType.UINT64, "uint64"],
]);

function unsupported(what: string): Error {
  return new Error(`a request cannot hold ${what}: it has no one spelling`);
}
