import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type ClearBatchRequest,
  ClearBatchRequestSchema,
  ClearRequestSchema,
} from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { cutBatch, requestsIn } from "./cut.ts";

const schema = ClearBatchRequestSchema;
const all = { slicePostingsMax: 128, requestsMax: 10_000 };

/** A batch whose requests have so many postings. */
function batchOf(counts: readonly number[]): ClearBatchRequest {
  const requests = counts.map((count, index) => ({
    intent: {
      intentId: `intent ${index}`,
      reference: "ü".repeat(index % 50),
      postings: Array.from({ length: count }, (_, leg) => ({ amount: String(leg) })),
    },
    validateOnly: index % 2 === 0,
  }));
  return create(schema, { requests });
}

function join(slices: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(slices));
}

describe("cutBatch", () => {
  it("cuts between requests, in slices that hold no more than they may, and loses nothing", async () => {
    const counts = fc.array(fc.nat(70), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(counts, fc.integer({ min: 1, max: 128 }), async (each, slicePostingsMax) => {
        const bytes = toBinary(schema, batchOf(each));
        const cut = await cutBatch(bytes, { ...all, slicePostingsMax });
        expect(join(cut.slices)).toEqual(bytes);
        expect(cut.requests).toBe(each.length);
        expect(cut.postings).toBe(each.reduce((sum, count) => sum + count, 0));
        for (const slice of cut.slices) {
          const { requests } = fromBinary(schema, slice);
          const weights = requests.map(({ intent }) => Math.max(1, intent?.postings.length ?? 0));
          const weight = weights.reduce((sum, one) => sum + one, 0);
          expect(weight <= slicePostingsMax || requests.length === 1).toBe(true);
        }
      }),
    );
  });

  it("fills its slices", async () => {
    const { slices } = await cutBatch(toBinary(schema, batchOf(Array(300).fill(1))), all);
    expect(slices.map((slice) => requestsIn(slice).length)).toEqual([128, 128, 44]);
  });

  it("reads no further than it must to see that there are too many", async () => {
    const bytes = toBinary(schema, batchOf(Array(300).fill(1)));
    expect(await cutBatch(bytes, { ...all, requestsMax: 11 })).toMatchObject({ requests: 11 });
  });

  it("gives other calls their turn", async () => {
    let turns = 0;
    let done = false;
    const count = () => {
      turns += 1;
      if (!done) setImmediate(count);
    };
    setImmediate(count);
    await cutBatch(toBinary(schema, batchOf(Array(2_000).fill(1))), all);
    done = true;
    expect(turns).toBeGreaterThanOrEqual(6);
  });

  it("leaves what is wrong with a request to whoever reads it", async () => {
    const good = toBinary(ClearRequestSchema, create(ClearRequestSchema, { validateOnly: true }));
    const items = [good, Uint8Array.of(0x0a, 0x7f), good];
    const bytes = join(items.map((item) => Buffer.from([0x0a, item.length, ...item])));
    const cut = await cutBatch(bytes, all);
    expect(cut).toMatchObject({ requests: 3, postings: 0 });
    expect(cut.slices.flatMap(requestsIn).map((item) => [...item])).toEqual(
      items.map((item) => [...item]),
    );
  });

  it.each([
    ["before", Uint8Array.of(0x78, 1, ...toBinary(schema, batchOf([2, 1])))],
    ["between", Uint8Array.of(...toBinary(schema, batchOf([2])), 0x78, 1, 0x0a, 0)],
    ["behind", Uint8Array.of(...toBinary(schema, batchOf([2, 1])), 0x78, 1)],
  ])(
    "refuses a field that it does not know %s the requests, by its number",
    async (_where, bytes) => {
      const refusal = { path: "15", rule: "field.unknown" };
      await expect(cutBatch(bytes, all)).rejects.toMatchObject(refusal);
      expect(() => requestsIn(bytes)).toThrow(expect.objectContaining(refusal));
    },
  );

  it.each([
    ["are cut off", toBinary(schema, batchOf([1, 2, 3])).subarray(0, -1)],
    ["hold a request that is a number", Uint8Array.of(0x08, 1)],
    ["are no message", Uint8Array.of(0xff, 0xff, 0xff)],
  ])("refuses bytes that %s, as the library does", async (_what, bytes) => {
    expect(() => fromBinary(schema, bytes)).toThrow();
    await expect(cutBatch(bytes, all)).rejects.toThrow();
  });
});
