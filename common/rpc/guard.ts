import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextValues,
  type HandlerContext,
  type ServiceImpl,
} from "@connectrpc/connect";
import { DomainError } from "#common/domain-error.ts";
import type { Logger } from "#common/process/logger.ts";
import { type AccessRule, requireAccess } from "./access/access.ts";
import { type Principal, principalKey } from "./access/principal.ts";
import type { TokenVerifier } from "./access/token-verifier.ts";
import { drainSignalKey } from "./drain.ts";
import { GuardedStream } from "./guarded-stream.ts";
import { type Admission, announcedBytes, createAdmission } from "./limits/admission.ts";
import { type MethodPlan, planMethods } from "./method-plan.ts";
import type { Mount } from "./mount.ts";
import { raceAbort } from "./race-abort.ts";
import { deadlineError, type HeaderReader, RpcCall, rpcCallKey } from "./rpc-call.ts";
import { createMethodStats, type MethodStats } from "./rpc-metrics.ts";
import { createRequestValidator, type RequestValidator } from "./strict/validate.ts";
import { type UnaryContext, withDeadline } from "./unary-context.ts";

export interface GuardOptions {
  readonly mounts: readonly Mount[];
  readonly tokens: TokenVerifier;
  readonly logger: Logger;
  /** Fires when draining starts: streams end, and new ones are refused. */
  readonly drainSignal: AbortSignal;
  /** Fires when streams have ended: from then on every new call is refused. Until then others are still served. */
  readonly leaveSignal: AbortSignal;
  readonly unaryTimeoutMs: number;
  readonly streamStallMs: number;
  /** The most streams of one subject. Default: the runtime's. */
  readonly streamsOfSubjectMax?: number | undefined;
}

/** The options, and what its calls share. */
interface GuardParts extends GuardOptions {
  readonly admission: Admission;
}

/** A service whose implementation is wrapped in everything that the runtime promises. */
export interface GuardedService {
  readonly service: DescService;
  readonly plans: readonly MethodPlan[];
  readonly implementation: ServiceImpl<DescService>;
  readonly batches: GuardedBatches;
  readonly batchJson: Mount["batchJson"];
}

/** A batch handler that a mount may call with any context. */
export type GuardedBatch = (request: Uint8Array, ctx: HandlerContext) => Promise<Buffer>;
export type GuardedBatches = Readonly<Record<string, GuardedBatch>>;

/** What stands between a server and the handlers. Both mounts share one, so that they cannot differ. */
export interface Guard {
  readonly services: readonly GuardedService[];
  /** True once draining has started. */
  readonly draining: boolean;
  /** How much of what the process takes. */
  readonly admission: Admission;
  planOf(path: string): MethodPlan | undefined;
  /**
   * Begins a call when its headers are there and its body is not read: drain check, then access. Puts call,
   * caller and drain signal into `values`. Throws or rejects with a ConnectError; returns nothing when that took
   * no waiting, which is so for every token seen before.
   */
  begin(plan: MethodPlan, header: HeaderReader, values: ContextValues): void | Promise<void>;
  /** The drain check and access of something that is no method of ours. Throws or rejects with a DomainError. */
  admit(rule: AccessRule, header: HeaderReader): Principal | Promise<Principal>;
}

/** Wraps the mounts. Throws if a method names no scope. */
export function createGuard(options: GuardOptions): Guard {
  const plansOfServices = options.mounts.map((mount) => planMethods(mount.service));
  const allPlans = plansOfServices.flat();
  const stats = createMethodStats(allPlans);
  const validator = createRequestValidator();
  const admission = createAdmission(options);
  const parts: GuardParts = { ...options, admission };
  const services = options.mounts.map((mount, index) => {
    const plans = plansOfServices[index] ?? [];
    return {
      service: mount.service,
      plans,
      implementation: wrapService(mount, plans, validator, parts),
      batches: wrapBatches(mount, plans, parts),
      batchJson: mount.batchJson,
    };
  });
  const byPath = new Map(allPlans.map((plan) => [plan.path, plan]));

  function admit(
    rule: AccessRule,
    header: HeaderReader,
    refuses = options.drainSignal,
  ): Principal | Promise<Principal> {
    if (refuses.aborted) throw drainingError();
    const principal = options.tokens.verify(header("authorization"));
    if (principal instanceof Promise) {
      return principal.then((verified) => {
        requireAccess(verified, rule);
        return verified;
      });
    }
    requireAccess(principal, rule);
    return principal;
  }

  function begin(
    plan: MethodPlan,
    header: HeaderReader,
    values: ContextValues,
  ): void | Promise<void> {
    const call = new RpcCall({
      plan,
      header,
      stats: statsOf(stats, plan),
      logger: options.logger,
    });
    values.set(rpcCallKey, call).set(drainSignalKey, options.drainSignal);
    const enter = (principal: Principal) => {
      values.set(principalKey, principal);
      call.own(admission.enter(plan, principal.subject));
      const bytes = admission.bytes(plan, announcedBytes(plan, header));
      call.bytes = bytes;
      call.own(bytes.release);
    };
    try {
      const refuses = isStream(plan.method) ? options.drainSignal : options.leaveSignal;
      const principal = admit(plan, header, refuses);
      if (!(principal instanceof Promise)) return enter(principal);
      return principal.then(enter).catch((error: unknown) => {
        throw call.fail(error);
      });
    } catch (error) {
      throw call.fail(error);
    }
  }

  return {
    services,
    admission,
    get draining() {
      return options.drainSignal.aborted;
    },
    planOf: (path) => byPath.get(path),
    begin,
    admit,
  };
}

/** The refusal of new calls while draining. */
export function drainingError(): DomainError {
  return new DomainError("DRAINING", "The service is shutting down; call again.");
}

function statsOf(stats: ReadonlyMap<MethodPlan, MethodStats>, plan: MethodPlan): MethodStats {
  const entry = stats.get(plan);
  if (entry === undefined) throw new Error(`${plan.path} is not mounted here`);
  return entry;
}

type UnaryHandler = (request: Message, ctx: UnaryContext) => Promise<Message> | Message;
/** A unary handler that a mount may call with any context. */
type GuardedUnary = (request: Message, ctx: HandlerContext) => Promise<Message>;
type StreamHandler = (request: Message, ctx: HandlerContext) => AsyncIterable<Message>;

function wrapService(
  mount: Mount,
  plans: readonly MethodPlan[],
  validator: RequestValidator,
  options: GuardParts,
): ServiceImpl<DescService> {
  const wrapped: Record<string, GuardedUnary | StreamHandler> = {};
  for (const plan of plans) {
    const { method } = plan;
    if (mount.batches[method.localName] !== undefined) continue;
    const handler: unknown = mount.implementation[method.localName];
    if (typeof handler !== "function") throw new Error(`${plan.path} is not implemented`);
    const bound: unknown = handler.bind(mount.implementation);
    const check = (request: Message) => validator.check(method.input, request);
    wrapped[method.localName] = isStream(method)
      ? wrapStream(plan, bound as StreamHandler, validator, options)
      : wrapUnary(bound as UnaryHandler, check, options);
  }
  return wrapped as ServiceImpl<DescService>;
}

function wrapBatches(
  mount: Mount,
  plans: readonly MethodPlan[],
  options: GuardParts,
): GuardedBatches {
  const wrapped: Record<string, GuardedBatch> = {};
  for (const plan of plans) {
    const handler = mount.batches[plan.method.localName];
    if (handler === undefined) continue;
    wrapped[plan.method.localName] = wrapUnary(handler, () => undefined, options);
  }
  return wrapped;
}

function isStream(method: DescMethod): boolean {
  return method.methodKind === "server_streaming";
}

/** The call that a context belongs to. */
export function callOf(ctx: HandlerContext): RpcCall {
  const call = ctx.values.get(rpcCallKey);
  // Unreachable through a mount, which refuses a call that it could not begin.
  if (call === undefined) throw new ConnectError("the call was not admitted", Code.Internal);
  return call;
}

/** The order of things in a unary call once it is admitted: validate, deadline, handler, error mapping, count and log. */
function wrapUnary<Request, Response>(
  handler: (request: Request, ctx: UnaryContext) => Promise<Response> | Response,
  check: (request: Request) => void,
  options: GuardParts,
): (request: Request, ctx: HandlerContext) => Promise<Response> {
  return async (request, ctx) => {
    const call = callOf(ctx);
    // A caller that sets no deadline gets one: nothing waits for ever here.
    const { ctx: inner, clear } = withDeadline(ctx, options.unaryTimeoutMs);
    try {
      call.own(options.admission.run());
      check(request);
      inner.signal.throwIfAborted(); // Too late already: nothing must happen any more.
      call.reached = true;
      const response = await raceAbort(handler(request, inner), inner.signal);
      call.finish();
      return response;
    } catch (error) {
      throw call.fail(abortError(call, inner.signal, error));
    } finally {
      clear();
    }
  };
}

function wrapStream(
  plan: MethodPlan,
  handler: StreamHandler,
  validator: RequestValidator,
  options: GuardParts,
): StreamHandler {
  return (request, ctx) => {
    const call = callOf(ctx);
    return new GuardedStream({
      call,
      signal: ctx.signal,
      stallMs: options.streamStallMs,
      open() {
        validator.check(plan.method.input, request);
        ctx.signal.throwIfAborted();
        call.reached = true;
        return handler(request, ctx);
      },
      toError: (error) => abortError(call, ctx.signal, error),
    });
  };
}

/**
 * What an error means in a call that was aborted. A handler that gave a reason of its own keeps it; one that just
 * stopped failed for the abort's reason, the deadline or the caller's leaving.
 */
function abortError(call: RpcCall, signal: AbortSignal, error: unknown): unknown {
  if (!signal.aborted) return error;
  // CANCELLED is what stops for any abort, and does not look why.
  if (error instanceof DomainError && error.kind !== "CANCELLED") return error;
  const reason: unknown = signal.reason;
  if (reason instanceof ConnectError && reason.code === Code.DeadlineExceeded)
    return deadlineError(call);
  return new DomainError("CANCELLED", "The caller gave up.", { cause: error });
}
