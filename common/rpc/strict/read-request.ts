import { type DescMessage, fromBinary, fromJson, type MessageShape } from "@bufbuild/protobuf";
import { checkBinary, findBrokenText } from "./binary.ts";
import { checkJson } from "./json.ts";
import { refusalOf } from "./refusal.ts";
import { shapeOf } from "./shape.ts";

/**
 * Reads an encoded request, strictly. Throws INVALID_FIELD with the path to what is wrong. What a server answers is read
 * leniently, by whoever asked: servers are upgraded before clients.
 */
export function readBinary<Desc extends DescMessage>(
  schema: Desc,
  bytes: Uint8Array,
): MessageShape<Desc> {
  const shape = shapeOf(schema);
  try {
    checkBinary(shape, bytes);
    return fromBinary(schema, bytes, { readUnknownFields: false });
  } catch (error) {
    throw refusalOf(error, findBrokenText(shape, bytes));
  }
}

/** Reads the JSON of a request, strictly. Throws INVALID_FIELD with the path to what is wrong. */
export function readJson<Desc extends DescMessage>(schema: Desc, text: string): MessageShape<Desc> {
  const json = parse(text);
  try {
    checkJson(shapeOf(schema), text);
    return fromJson(schema, json);
  } catch (error) {
    throw refusalOf(error);
  }
}

type Json = Parameters<typeof fromJson>[1];

function parse(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw refusalOf(error);
  }
}
