import {
  create,
  type DescField,
  type DescMessage,
  fromBinary,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** What is decoded or encoded before other calls get their turn: a fraction of a millisecond's work. */
const pageItems = 32;

/** A batch is a message that holds a list of messages and nothing else. */
type ItemsField = DescField & { readonly fieldKind: "list"; readonly listKind: "message" };

/** Decodes a batch as fromBinary does, in short turns of the event loop. Rejects as fromBinary throws. */
export async function decodeBatch(schema: DescMessage, bytes: Uint8Array): Promise<Message> {
  const field = itemsField(schema);
  const slices = itemsIn(field, bytes);
  // What is not a plain batch is decoded, or refused, in one go.
  if (slices === undefined) return fromBinary(schema, bytes);
  const items: Message[] = [];
  for (const slice of slices) {
    items.push(fromBinary(field.message, slice));
    if (items.length % pageItems === 0) await nextTurn();
  }
  return create(schema, { [field.localName]: items });
}

/** Encodes a batch as toBinary does, in short turns of the event loop. */
export async function encodeBatch(schema: DescMessage, message: Message): Promise<Buffer> {
  const { localName } = itemsField(schema);
  const items: unknown = Reflect.get(message, localName);
  if (!Array.isArray(items)) throw new TypeError(`${schema.typeName} without its list`);
  const parts: Uint8Array[] = [];
  for (let first = 0; first < items.length; first += pageItems) {
    if (first > 0) await nextTurn();
    const page = create(schema, { [localName]: items.slice(first, first + pageItems) });
    parts.push(toBinary(schema, page));
  }
  return Buffer.concat(parts);
}

function itemsField(schema: DescMessage): ItemsField {
  const [field, ...others] = schema.fields;
  if (field?.fieldKind === "list" && field.listKind === "message" && others.length === 0) {
    return field;
  }
  throw new TypeError(`${schema.typeName} is no batch`);
}

/** The bytes of every item; undefined if there is anything else, or less than there should be. */
function itemsIn(field: ItemsField, bytes: Uint8Array): Uint8Array[] | undefined {
  const reader = new BinaryReader(bytes);
  const slices: Uint8Array[] = [];
  try {
    while (reader.pos < reader.len) {
      const [number, wireType] = reader.tag();
      if (number !== field.number || wireType !== WireType.LengthDelimited) return undefined;
      slices.push(reader.bytes());
    }
    return slices;
  } catch {
    return undefined;
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
