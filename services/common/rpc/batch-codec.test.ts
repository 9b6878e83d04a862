import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  ClearBatchRequestSchema,
  ClearRequestSchema,
  GetClearingRequestSchema,
} from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { decodeBatch, encodeBatch } from "./batch-codec.ts";

const schema = ClearBatchRequestSchema;

function batchOf(count: number) {
  const requests = Array.from({ length: count }, (_, index) => ({
    intent: {
      intentId: `intent ${index}`,
      reference: "ü".repeat(index % 200),
      postings: Array.from({ length: index % 4 }, () => ({ amount: String(index) })),
    },
    validateOnly: index % 2 === 0,
  }));
  return create(schema, { requests });
}

test.each([0, 1, 127, 128, 129, 1_000])(
  "decodes and encodes as the library does: %i",
  async (n) => {
    const batch = batchOf(n);
    const bytes = toBinary(schema, batch);
    expect(await decodeBatch(schema, bytes)).toEqual(batch);
    expect(new Uint8Array(await encodeBatch(schema, batch))).toEqual(bytes);
  },
);

test.each([
  ["a field that it does not know", [...toBinary(schema, batchOf(2)), 0x78, 1]],
  ["an empty item", [0x0a, 0]],
])("decodes %s as the library does", async (_what, bytes) => {
  const input = Uint8Array.from(bytes);
  expect(await decodeBatch(schema, input)).toEqual(fromBinary(schema, input));
});

const broken = toBinary(schema, batchOf(3)).subarray(0, -1);
const badItem = Uint8Array.from([0x0a, 2, 0x0a, 0x7f]);
test.each([
  ["cut off", broken],
  ["that holds a bad item", badItem],
  ["with an item that is no message", Uint8Array.from([0x08, 1])],
])("refuses a batch %s as the library does", async (_what, bytes) => {
  let expected: unknown;
  try {
    fromBinary(schema, bytes);
  } catch (error) {
    expected = error;
  }
  expect(expected).toBeInstanceOf(Error);
  await expect(decodeBatch(schema, bytes)).rejects.toEqual(expected);
});

test("lets others have their turn between pages", async () => {
  let turns = 0;
  let done = false;
  const count = () => {
    turns += 1;
    if (!done) setImmediate(count);
  };
  setImmediate(count);
  const batch = await decodeBatch(schema, toBinary(schema, batchOf(1_000)));
  const afterDecode = turns;
  await encodeBatch(schema, batch);
  done = true;
  expect(afterDecode).toBeGreaterThanOrEqual(6);
  expect(turns - afterDecode).toBeGreaterThanOrEqual(6);
});

test("knows what is no batch", async () => {
  await expect(decodeBatch(ClearRequestSchema, new Uint8Array())).rejects.toThrow("is no batch");
  await expect(decodeBatch(GetClearingRequestSchema, new Uint8Array())).rejects.toThrow(
    "is no batch",
  );
});
