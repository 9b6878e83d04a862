import { type DescMessage, fromBinary, toBinary, toJsonString } from "@bufbuild/protobuf";
import { invalidField } from "#common/domain-error.ts";
import { detailTypes } from "../errors.ts";
import type { BatchJson } from "../mount.ts";
import { readJson } from "./read-request.ts";

/**
 * The most values, keys and items in the JSON of a batch: twice what the largest has that means something. A request of 16
 * MiB may hold five million empty ones, and each would become an object of some hundred bytes.
 */
export const valuesMax = 500_000;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The encoded request that JSON holds. Throws INVALID_FIELD with the path to what is wrong. */
export function readBatchJson(schema: DescMessage, json: Uint8Array): Uint8Array {
  if (countValues(json) > valuesMax) {
    throw invalidField("", "json.values", `holds more than ${valuesMax} values, keys and items`);
  }
  return toBinary(schema, readJson(schema, decoded(json)));
}

function decoded(json: Uint8Array): string {
  try {
    return utf8.decode(json);
  } catch {
    throw invalidField("", "decode", "is no UTF-8");
  }
}

/** The JSON of an encoded answer. */
export function writeBatchJson(schema: DescMessage, answer: Uint8Array): Uint8Array {
  const message = fromBinary(schema, answer);
  return new TextEncoder().encode(toJsonString(schema, message, { registry: detailTypes }));
}

/** On the event loop, for services that have no threads. */
export function jsonHere(input: DescMessage, output: DescMessage): BatchJson {
  return {
    read: async (json) => readBatchJson(input, json),
    write: async (answer) => writeBatchJson(output, answer),
  };
}

const quote = 0x22;
const backslash = 0x5c;
/** What begins or parts values: { [ , : */
const separators = new Set([0x7b, 0x5b, 0x2c, 0x3a]);

/** How often a value begins or another comes, outside of texts; whether it is JSON does not matter here. */
function countValues(json: Uint8Array): number {
  let count = 0;
  let isText = false;
  for (let at = 0; at < json.byteLength; at += 1) {
    const byte = json[at] ?? 0;
    if (byte === quote) isText = !isText;
    else if (!isText) count += separators.has(byte) ? 1 : 0;
    else if (byte === backslash) at += 1;
  }
  return count;
}
