import type { Message } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import { createLogger } from "#common/process/logger.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { reasonOf } from "./errors.ts";
import { GuardedStream } from "./guarded-stream.ts";
import { planMethods } from "./method-plan.ts";
import { RpcCall } from "./rpc-call.ts";
import { createMethodStats } from "./rpc-metrics.ts";

const stallMs = 1_000;
const message: Message = { $typeName: "test" };

function createCall() {
  const plans = planMethods(EventStreamService);
  const [plan] = plans;
  if (plan === undefined) throw new Error("no method");
  const stats = createMethodStats(plans).get(plan);
  if (stats === undefined) throw new Error("no stats");
  const call = new RpcCall({
    plan,
    stats,
    header: () => undefined,
    logger: createLogger("t", "silent"),
  });
  return { call, stats };
}

function guard(source: () => AsyncIterable<Message>, signal = new AbortController().signal) {
  const { call, stats } = createCall();
  const stream = new GuardedStream({
    call,
    signal,
    stallMs,
    open: source,
    toError: (error) => error,
  });
  const stalls: ConnectError[] = [];
  call.onStall = (error) => stalls.push(error);
  return { stream, call, stats, stalls };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("GuardedStream", () => {
  it("passes messages on and counts its end", async () => {
    const { stream, stats } = guard(async function* () {
      yield message;
    });
    expect(stats.inFlight).toBe(1);
    expect(await stream.next()).toEqual({ done: false, value: message });
    expect(await stream.next()).toEqual({ done: true, value: undefined });
    expect(stats.inFlight).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("maps what the handler throws, and says it again", async () => {
    const { stream } = guard(async function* () {
      yield message;
      throw new DomainError("DRAINING", "Bye.");
    });
    await stream.next();
    const error: ConnectError = await stream.next().catch((thrown) => thrown);
    expect(reasonOf(error)).toBe("DRAINING");
    await expect(stream.next()).rejects.toBe(error);
  });

  it("ends a stream that its client does not read, and lets the handler add its cursor", async () => {
    const { stream, stalls, stats } = guard(async function* () {
      try {
        for (;;) yield message;
      } catch (error) {
        if (!(error instanceof DomainError)) throw error;
        throw new DomainError("SLOW_CONSUMER", error.message, { metadata: { cursor: "7" } });
      }
    });
    await stream.next();
    await vi.advanceTimersByTimeAsync(stallMs * 0.9);
    expect(stalls).toEqual([]);
    await vi.advanceTimersByTimeAsync(stallMs * 0.3);
    expect(stalls.map(reasonOf)).toEqual(["SLOW_CONSUMER"]);
    expect(stats.inFlight).toBe(0);
    await expect(stream.next()).rejects.toBe(stalls[0]);
  });

  it("ends a stalled stream even if the handler swallows the error and goes on", async () => {
    const endless = { next: 0, returned: 0 };
    const { stream, stalls } = guard(() => ({
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          endless.next += 1;
          return { done: false, value: message };
        },
        throw: async () => ({ done: false, value: message }),
        return: async () => {
          endless.returned += 1;
          return { done: true, value: undefined };
        },
      }),
    }));
    await stream.next();
    await vi.advanceTimersByTimeAsync(stallMs * 1.2);
    expect(stalls).toHaveLength(1);
    expect(endless).toEqual({ next: 1, returned: 1 });
  });

  it("does not take a quiet handler for a slow client", async () => {
    const { stream, stalls } = guard(async function* () {
      await new Promise((resolve) => setTimeout(resolve, stallMs * 10));
      yield message;
    });
    const next = stream.next();
    await vi.advanceTimersByTimeAsync(stallMs * 10);
    expect(await next).toMatchObject({ done: false });
    expect(stalls).toEqual([]);
  });

  it("cuts off a handler that does not listen to its signal", async () => {
    const controller = new AbortController();
    const { stream, stats } = guard(async function* () {
      await new Promise(() => undefined);
      yield message;
    }, controller.signal);
    const next = stream.next();
    controller.abort(new DomainError("CANCELLED", "gone"));
    const refused = expect(next).rejects.toMatchObject({ rawMessage: "gone" });
    await vi.runAllTimersAsync();
    await refused;
    expect(stats.inFlight).toBe(0);
  });

  it("runs the handler's finally when the server stops reading", async () => {
    let finished = false;
    const { stream, stats } = guard(async function* () {
      try {
        for (;;) yield message;
      } finally {
        finished = true;
      }
    });
    await stream.next();
    await stream.return();
    await vi.waitFor(() => expect(finished).toBe(true));
    expect(await stream.next()).toEqual({ done: true, value: undefined });
    expect(stats.inFlight).toBe(0);
  });
});
