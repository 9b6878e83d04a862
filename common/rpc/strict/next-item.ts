import type { DescField } from "@bufbuild/protobuf";
import { type BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { Unreadable } from "./refusal.ts";

/**
 * Reads the next item, encoded, of an encoded batch that holds a list of messages in `field` and nothing else. Throws
 * Unreadable at a field that this version does not know, Error where the bytes end early.
 */
export function nextItem(reader: BinaryReader, field: DescField): Uint8Array {
  const [number, wireType] = reader.tag();
  if (number !== field.number)
    throw new Unreadable(String(number), "field.unknown", "a batch has no such field");
  if (wireType === WireType.LengthDelimited) return reader.bytes();
  throw new Unreadable(field.name, "decode", `it cannot have the wire type ${wireType}`);
}
