import { create, type Message } from "@bufbuild/protobuf";
import {
  Code,
  type ConnectError,
  createContextValues,
  createHandlerContext,
  type HandlerContext,
  type ServiceImpl,
} from "@connectrpc/connect";
import { describe, expect, it, vi } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import { createLogger } from "#common/process/logger.ts";
import {
  ClearingService,
  OpenWalletRequestSchema,
} from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import type { Principal } from "./access/principal.ts";
import { reasonOf } from "./errors.ts";
import { createGuard } from "./guard.ts";
import { mountOf } from "./mount.ts";

const principal: Principal = {
  subject: "alice",
  scopes: new Set(["wallet.open"]),
  wallet: undefined,
  expiresAtMs: Number.MAX_SAFE_INTEGER,
};
const request = create(OpenWalletRequestSchema, { wallet: `0x${"12".repeat(20)}`, ledger: 1 });

type OpenWallet = ServiceImpl<typeof ClearingService>["openWallet"];

/** Calls OpenWallet through the guard and gives what it rejects with. */
async function refusalOf(
  openWallet: OpenWallet,
  timeoutMs: number,
  before?: (ctx: HandlerContext) => Promise<void>,
) {
  const notCalled = (): never => {
    throw new Error("not part of this test");
  };
  const guard = createGuard({
    mounts: [
      mountOf(
        ClearingService,
        { clear: notCalled, getClearing: notCalled, openWallet },
        { clearBatch: notCalled },
      ),
    ],
    tokens: { verify: () => principal },
    logger: createLogger("test", "silent"),
    drainSignal: new AbortController().signal,
    leaveSignal: new AbortController().signal,
    unaryTimeoutMs: 10_000,
    streamStallMs: 1_000,
  });
  const plan = guard.planOf("/sovr.clearing.v1.ClearingService/OpenWallet");
  if (plan === undefined) throw new Error("no plan");
  const ctx = createHandlerContext({
    service: ClearingService,
    method: plan.method,
    protocolName: "grpc",
    requestMethod: "POST",
    url: plan.path,
    timeoutMs,
    contextValues: createContextValues(),
  });
  await guard.begin(plan, () => undefined, ctx.values);
  await before?.(ctx);
  const guarded: unknown = guard.services[0]?.implementation["openWallet"];
  const handler = guarded as (request: Message, ctx: HandlerContext) => Promise<Message>;
  try {
    return await handler(request, ctx).then(
      () => expect.unreachable("the call succeeded"),
      (error: ConnectError) => error,
    );
  } finally {
    ctx.abort();
  }
}

/** Waits for the abort of a call. */
function aborted(ctx: HandlerContext): Promise<void> {
  return new Promise((resolve) => ctx.signal.addEventListener("abort", () => resolve()));
}

describe("a write whose deadline passes", () => {
  it("before it began never begins, and the answer says that nothing happened", async () => {
    const openWallet = vi.fn<OpenWallet>(async () => ({}));
    const error = await refusalOf(openWallet, 1, aborted);
    expect(reasonOf(error)).toBe("NOT_SENT");
    expect(openWallet).not.toHaveBeenCalled();
  });

  it("after it began has an unknown outcome", async () => {
    const error = await refusalOf(() => new Promise(() => undefined), 5);
    expect(error.code).toBe(Code.DeadlineExceeded);
    expect(reasonOf(error)).toBe("OUTCOME_UNKNOWN");
  });

  it("has the outcome that its handler knows, if it answers the abort", async () => {
    const error = await refusalOf(async (_request, ctx) => {
      await aborted(ctx);
      throw new DomainError("NOT_SENT", "Nothing was sent.", { metadata: { intentId: "1" } });
    }, 5);
    expect(reasonOf(error)).toBe("NOT_SENT");
    expect(error.rawMessage).toBe("Nothing was sent.");
  });

  it("is not taken for a fault of ours when its driver just stops", async () => {
    const error = await refusalOf(async (_request, ctx) => {
      await aborted(ctx);
      throw new Error("socket closed");
    }, 5);
    expect(reasonOf(error)).toBe("OUTCOME_UNKNOWN");
  });
});

it("a process that drains refuses streams first, and everything once they have ended", () => {
  const refused = (): never => {
    throw new Error("not part of this test");
  };
  const draining = new AbortController();
  const leaving = new AbortController();
  const guard = createGuard({
    mounts: [
      mountOf(EventStreamService, {
        subscribe: refused,
        listEvents: refused,
        watchBalances: refused,
      }),
    ],
    tokens: { verify: () => ({ ...principal, scopes: new Set(["events.read"]) }) },
    logger: createLogger("test", "silent"),
    drainSignal: draining.signal,
    leaveSignal: leaving.signal,
    unaryTimeoutMs: 10_000,
    streamStallMs: 1_000,
  });
  /** Whether a stream and a unary call are taken. */
  const takes = () =>
    ["Subscribe", "ListEvents"].map((name) => {
      const plan = guard.planOf(`/sovr.eventstream.v1.EventStreamService/${name}`);
      if (plan === undefined) throw new Error("no plan");
      try {
        void guard.begin(plan, () => undefined, createContextValues());
        return "taken";
      } catch (error) {
        return reasonOf(error as ConnectError);
      }
    });
  expect(takes()).toEqual(["taken", "taken"]);
  draining.abort();
  expect(takes()).toEqual(["DRAINING", "taken"]);
  leaving.abort();
  expect(takes()).toEqual(["DRAINING", "DRAINING"]);
});
