import { Code, ConnectError, createContextValues, createHandlerContext } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { limitOf } from "./call-limit.ts";
import { withDeadline } from "./unary-context.ts";

// Time is faked: nothing here waits.
beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

function contextOf(timeoutMs?: number, requestSignal?: AbortSignal) {
  return createHandlerContext({
    service: LedgerService,
    method: LedgerService.method.listAssets,
    protocolName: "grpc",
    requestMethod: "POST",
    url: "/",
    contextValues: createContextValues(),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(requestSignal === undefined ? {} : { requestSignal }),
  });
}

describe("limitOf", () => {
  it.each([
    [10_000, 9_500],
    [1_000, 950],
    [400, 380],
    [100, 80],
    [10, -10],
  ])("leaves of %d ms what an answer does not need: %d", (timeoutMs, leftMs) => {
    const { deadlineMs } = limitOf(withDeadline(contextOf(timeoutMs), 1).ctx);
    expect(deadlineMs).toBe(1_000_000 + leftMs);
  });
});

describe("withDeadline", () => {
  it("leaves the deadline of a caller as it is", () => {
    const ctx = contextOf(5);
    expect(withDeadline(ctx, 10_000).ctx).toBe(ctx);
    ctx.abort();
  });

  it("gives a call without one a deadline, and its handler hears of it", async () => {
    const { ctx } = withDeadline(contextOf(), 100);
    await vi.advanceTimersByTimeAsync(99);
    expect([ctx.timeoutMs(), ctx.signal.aborted]).toEqual([1, false]);
    await vi.advanceTimersByTimeAsync(1);
    expect(ctx.signal.reason).toMatchObject({ code: Code.DeadlineExceeded });
  });

  it("waits for a deadline that no timer of Node can hold, instead of firing at once", async () => {
    const { ctx, clear } = withDeadline(contextOf(), 2 ** 31);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(ctx.signal.aborted).toBe(false);
    clear();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("still hears of a caller that leaves, also of one that had left", () => {
    const reason = new ConnectError("gone", Code.Canceled);
    const caller = new AbortController();
    const { ctx, clear } = withDeadline(contextOf(undefined, caller.signal), 100);
    caller.abort(reason);
    expect(ctx.signal.reason).toBe(reason);
    clear();
    const { ctx: late } = withDeadline(contextOf(undefined, caller.signal), 100);
    expect(late.signal.reason).toBe(reason);
  });
});
