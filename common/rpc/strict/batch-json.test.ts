import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  ClearBatchRequestSchema,
  ClearBatchResponseSchema,
} from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { readBatchJson, writeBatchJson } from "./batch-json.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const read = (text: string) => readBatchJson(ClearBatchRequestSchema, bytesOf(text));

describe("readBatchJson", () => {
  it("gives what the JSON means, encoded", () => {
    const requests = [{ intent: { merchantId: '{"[,:\\' } }, {}];
    expect(fromBinary(ClearBatchRequestSchema, read(JSON.stringify({ requests })))).toMatchObject({
      requests: [{ intent: { merchantId: '{"[,:\\' } }, {}],
    });
  });

  it.each([
    ["no UTF-8", Uint8Array.of(0x22, 0xff)],
    ["no JSON", bytesOf("[")],
    ["an unknown key", bytesOf('{"request": []}')],
    ["a key twice", bytesOf('{"requests": [], "requests": []}')],
  ])("refuses %s", (_, json) => {
    expect(() => readBatchJson(ClearBatchRequestSchema, json)).toThrow(
      expect.objectContaining({ kind: "INVALID_FIELD" }),
    );
  });

  it.each([
    ["objects", `{"requests":[${"{},".repeat(300_000)}{}]}`],
    ["lists within lists", "[".repeat(600_000)],
    ["keys", `{${'"a":0,'.repeat(300_000)}}`],
  ])("refuses more %s than a batch can have before it makes any", (_, text) => {
    expect(() => read(text)).toThrow("more than 500000 values");
  });

  it("does not take what stands in texts for more", () => {
    const [long] = [",{[:".repeat(200_000)];
    expect(() =>
      read(JSON.stringify({ requests: [{ intent: { merchantId: long } }] })),
    ).not.toThrow();
  });
});

it("writeBatchJson tells an answer", () => {
  const answer = create(ClearBatchResponseSchema, {
    results: [{ outcome: { case: "error", value: { code: 5, message: "no" } } }],
  });
  const json = writeBatchJson(ClearBatchResponseSchema, toBinary(ClearBatchResponseSchema, answer));
  expect(JSON.parse(new TextDecoder().decode(json))).toEqual({
    results: [{ error: { code: 5, message: "no" } }],
  });
});
