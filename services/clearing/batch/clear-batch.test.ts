import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createContextValues, createHandlerContext } from "@connectrpc/connect";
import { describe, expect, it, vi } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import { principalKey } from "#common/rpc/access/principal.ts";
import type { UnaryContext } from "#common/rpc/unary-context.ts";
import {
  ClearBatchRequestSchema,
  ClearBatchResponseSchema,
  ClearingService,
} from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { limitPostingsUnderWay } from "../core/postings-under-way.ts";
import { createClearBatch } from "./clear-batch.ts";
import type { BatchThreads, SliceLimit } from "./threads.ts";

interface SliceUnderWay {
  readonly ids: readonly string[];
  readonly limit: SliceLimit;
  end(): void;
  fail(error: unknown): void;
}

/** Threads that clear a slice when a test says so: each clearing has its intent's id. */
function harness() {
  const state = { idle: true, away: false, slices: [] as SliceUnderWay[] };
  const threads: Omit<BatchThreads, "json"> = {
    slicesMax: 4,
    gentleSlicesMax: 2,
    clearSlice: (slice, _caller, limit) => {
      const ids = fromBinary(ClearBatchRequestSchema, slice).requests.map(
        ({ intent }) => intent?.intentId ?? "",
      );
      const results = ids.map((intentId) => ({
        outcome: { case: "clearing" as const, value: { intentId } },
      }));
      const answer = create(ClearBatchResponseSchema, { results });
      return new Promise((resolve, reject) => {
        const end = () => resolve(toBinary(ClearBatchResponseSchema, answer));
        state.slices.push({ ids, limit, end, fail: reject });
      });
    },
    close: () => Promise.resolve(),
  };
  const reserve = limitPostingsUnderWay();
  const requireLedger = () => {
    if (state.away) throw new DomainError("LEDGER_UNAVAILABLE", "away", { retryAfterMs: 500 });
  };
  const clearBatch = createClearBatch(
    { requireLedger, reserve, isIdle: () => state.idle },
    threads,
  );
  /** A batch of intents of 64 postings, two of which are a slice. */
  const call = (name: string, count: number, ctx = context()) =>
    clearBatch(Buffer.from(toBinary(ClearBatchRequestSchema, batchOf(name, count, 64))), ctx);
  return { state, call, clearBatch, reserve };
}

function batchOf(name: string, count: number, postings: number) {
  const requests = Array.from({ length: count }, (_, index) => ({
    intent: { intentId: `${name}${index}`, postings: Array(postings).fill({}) },
  }));
  return create(ClearBatchRequestSchema, { requests });
}

function context(signal?: AbortSignal): UnaryContext {
  const principal = {
    subject: "test",
    scopes: new Set<string>(),
    expiresAtMs: 0,
    wallet: undefined,
  };
  const ctx = createHandlerContext({
    service: ClearingService,
    method: ClearingService.method.clearBatch,
    protocolName: "grpc",
    requestMethod: "POST",
    url: "http://test/",
    ...(signal === undefined ? {} : { requestSignal: signal }),
    contextValues: createContextValues().set(principalKey, principal),
  });
  return { ...ctx, timeoutMs: () => 10_000 };
}

const turns = async () => {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

describe("ClearBatch", () => {
  it("joins the answers in the requests' order, whichever slice ends first", async () => {
    const { state, call } = harness();
    const answer = call("a", 5);
    await vi.waitUntil(() => state.slices.length === 3);
    for (const slice of state.slices.toReversed()) slice.end();
    const { results } = fromBinary(ClearBatchResponseSchema, await answer);
    const ids = results.map(({ outcome }) => outcome.case === "clearing" && outcome.value.intentId);
    expect(ids).toEqual(["a0", "a1", "a2", "a3", "a4"]);
  });

  it("keeps all threads busy, and one, gently, while single calls come", async () => {
    const { state, call } = harness();
    const answer = call("a", 20);
    await turns();
    expect(state.slices.map(({ limit }) => limit.gently)).toEqual([false, false, false, false]);
    state.idle = false;
    for (const slice of state.slices) slice.end();
    await turns();
    expect(state.slices.slice(4).map(({ limit }) => limit.gently)).toEqual([true, true]);
    for (let ended = 0; ended < 10; ended += 1) {
      state.slices[ended]?.end();
      await turns();
    }
    expect(fromBinary(ClearBatchResponseSchema, await answer).results).toHaveLength(20);
  });

  it("lets batches take turns, slice by slice", async () => {
    const { state, call } = harness();
    const answers = [call("a", 20), call("b", 2)];
    await turns();
    state.slices[0]?.end();
    await turns();
    state.slices[1]?.end();
    await turns();
    const names = state.slices.map(({ ids }) => ids[0]);
    expect(names.indexOf("b0")).toBeLessThan(6);
    for (let ended = 2; ended < 11; ended += 1) {
      state.slices[ended]?.end();
      await turns();
    }
    expect((await Promise.all(answers)).map((answer) => answer.length > 0)).toEqual([true, true]);
  });

  it("begins no slice for a caller who has left", async () => {
    const { state, call } = harness();
    const left = new AbortController();
    const answer = call("a", 20, context(left.signal));
    await turns();
    left.abort();
    const refusal = expect(answer).rejects.toBe(left.signal.reason);
    for (const slice of state.slices) slice.end();
    await refusal;
    expect(state.slices).toHaveLength(4);
  });

  it("fails when a slice does, once all that began has ended", async () => {
    const { state, call } = harness();
    const answer = call("a", 4);
    await turns();
    state.slices[0]?.fail(new Error("a fault"));
    state.slices[1]?.end();
    await expect(answer).rejects.toThrow("a fault");
  });

  it("refuses more than it may have under way, and takes again what has ended", async () => {
    const { state, clearBatch } = harness();
    const bytesOf = (name: string, count: number) =>
      Buffer.from(toBinary(ClearBatchRequestSchema, batchOf(name, count, 1)));
    const [full, some] = [bytesOf("a", 8_189), bytesOf("b", 25)];
    const left = new AbortController();
    const answers = Array.from({ length: 8 }, () => clearBatch(full, context(left.signal)));
    for (let times = 0; times < 20; times += 1) await turns();
    const refusal = { kind: "RATE_LIMITED", metadata: { limit: "65536" }, retryAfterMs: 200 };
    await expect(clearBatch(some, context())).rejects.toMatchObject(refusal);
    left.abort();
    for (const slice of state.slices) slice.end();
    // Each is told, for an answer that leaves intents out would be taken for whole.
    const kinds = (await Promise.allSettled(answers)).map(({ status }) => status);
    expect(new Set(kinds)).toEqual(new Set(["rejected"]));
    const again = clearBatch(some, context());
    await vi.waitUntil(() => state.slices.length === 5);
    state.slices[4]?.end();
    await again;
  });

  it("leaves its place and its reservation as soon as nobody waits for it", async () => {
    const { state, clearBatch, call, reserve } = harness();
    const left = new AbortController();
    const begun = call("begun", 8, context(left.signal));
    await vi.waitUntil(() => state.slices.length === 4);
    const bytes = Buffer.from(toBinary(ClearBatchRequestSchema, batchOf("a", 8_189, 1)));
    const waiting = Array.from({ length: 7 }, () => clearBatch(bytes, context(left.signal)));
    for (let times = 0; times < 20; times += 1) await turns();
    await expect(clearBatch(bytes, context())).rejects.toMatchObject({ kind: "RATE_LIMITED" });
    left.abort();
    // Nothing counts any more, although no slice has ended.
    const [one, rest] = [reserve(1), reserve(65_535)];
    one(1);
    rest(65_535);
    for (const answer of waiting) await expect(answer).rejects.toMatchObject({ kind: "NOT_SENT" });
    const next = clearBatch(bytes, context());
    for (let times = 0; times < 20; times += 1) await turns();
    expect(state.slices).toHaveLength(4);
    for (const slice of state.slices) slice.end();
    await begun;
    await vi.waitUntil(() => state.slices.length === 8);
    expect(state.slices[4]?.ids[0]).toBe("a0");
    for (let ended = 4; ended < 68; ended += 1) {
      await vi.waitUntil(() => state.slices[ended] !== undefined);
      state.slices[ended]?.end();
    }
    expect(fromBinary(ClearBatchResponseSchema, await next).results).toHaveLength(8_189);
  });

  it.each([
    ["no request", batchOf("a", 0, 0), "repeated.min_items"],
    ["too many requests", batchOf("a", 8_190, 0), "repeated.max_items"],
    ["too many postings", batchOf("a", 128, 64), "batch.postings"],
  ])("refuses %s whole", async (_what, batch, rule) => {
    const { state, clearBatch } = harness();
    const bytes = Buffer.from(toBinary(ClearBatchRequestSchema, batch));
    const refusal = { kind: "INVALID_FIELD", metadata: { field: "requests", rule } };
    await expect(clearBatch(bytes, context())).rejects.toMatchObject(refusal);
    expect(state.slices).toEqual([]);
  });

  it("is refused whole while the ledger is away, and counts nothing", async () => {
    const { state, call, reserve } = harness();
    state.away = true;
    await expect(call("a", 2)).rejects.toMatchObject({ kind: "LEDGER_UNAVAILABLE" });
    expect(state.slices).toEqual([]);
    reserve(65_536)(65_536);
  });

  it("refuses bytes that are no batch", async () => {
    const { clearBatch } = harness();
    await expect(clearBatch(Buffer.from([0x08, 1]), context())).rejects.toMatchObject({
      kind: "INVALID_FIELD",
      metadata: { rule: "decode" },
    });
  });
});
