import { Code, type ContextValues, createContextValues } from "@connectrpc/connect";
import {
  status as grpcStatus,
  type Metadata,
  type Server,
  type ServerInterceptingCall,
  type ServerInterceptor,
} from "@grpc/grpc-js";
import { Scope } from "#gen/sovr/common/v1/access_pb.ts";
import { type AccessRule, scopeName } from "../access/access.ts";
import type { Principal } from "../access/principal.ts";
import { toConnectError } from "../errors.ts";
import { drainingError, type Guard } from "../guard.ts";
import { clientAddressHeader } from "../limits/client-address.ts";
import type { MethodPlan } from "../method-plan.ts";
import type { OpenStreams } from "../open-streams.ts";
import { type HeaderReader, methodNotFound, type RpcCall, rpcCallKey } from "../rpc-call.ts";
import { hasDetails, toCode, toGrpcStatus } from "./status.ts";
import { type WatchedBody, watchBody } from "./watched-body.ts";

/** A call that was admitted. */
export interface GatedCall {
  readonly call: RpcCall;
  readonly values: ContextValues;
  /** Resets the HTTP/2 stream of this call, and no other of the connection. */
  reset(): void;
}

/** Stands where grpc-js has a call's headers and not yet its body. */
export interface GrpcGate {
  readonly interceptor: ServerInterceptor;
  /** The gated call whose metadata these are. */
  take(metadata: Metadata): GatedCall;
  answerUnknownPaths(server: Server): void;
  /** Ends the calls that no guard watches, health watches and reflection streams, with DRAINING. */
  endUnguarded(): void;
  /** Ends all calls with DRAINING: an answer that may be repeated is better than a cut connection. */
  endAll(): void;
}

type ServerCall = Parameters<ServerInterceptor>[1];
type Listener = Parameters<ServerCall["start"]>[0];
type Status = Parameters<ServerCall["sendStatus"]>[0];

/** Scope of the calls that are no method of ours and not open to everyone. */
const reflectionAccess: AccessRule = { scopes: [scopeName(Scope.REFLECTION)], unboundOnly: false };

/** What a status gets to leave the process before its stream is reset, in milliseconds. */
const lingerMs = 100;

export function createGrpcGate(guard: Guard, streams: OpenStreams): GrpcGate {
  const gatedCalls = new WeakMap<Metadata, GatedCall>();
  const guarded = new Set<ServerCall>();
  const unguarded = new Set<ServerCall>();

  function intercept(plan: MethodPlan, call: ServerCall): ServerCall {
    const values = createContextValues();
    completeStatuses(plan, call, values);
    let closed: (() => void) | undefined;
    const check = (metadata: Metadata) => {
      guarded.add(call);
      if (plan.method.methodKind !== "unary") closed = streams.opened(() => cutStream(call));
      const begun = guard.begin(plan, headerReader(metadata), values);
      const rpcCall = values.get(rpcCallKey);
      if (rpcCall !== undefined) {
        gatedCalls.set(metadata, { call: rpcCall, values, reset: () => resetStream(call) });
        body = watchBody(plan, call, rpcCall, (error) => refuse(call, error));
      }
      return begun;
    };
    let body: WatchedBody | undefined;
    return onHeaders(call, check, {
      onRequest: () => body?.arrived(),
      // Also for a caller that leaves before its body is there, which no handler ever hears of.
      onEnd() {
        body?.arrived();
        guarded.delete(call);
        closed?.();
        values.get(rpcCallKey)?.abandonSoon();
      },
    });
  }

  function interceptUnguarded(path: string, call: ServerCall): ServerCall {
    const { admission } = guard;
    let leave: (() => void) | undefined;
    const reflect = ({ subject }: Principal) => {
      leave = admission.reflect(subject);
    };
    const check = (metadata: Metadata) => {
      unguarded.add(call);
      if (path === "/grpc.health.v1.Health/Watch") {
        leave = admission.watchHealth(headerReader(metadata)(clientAddressHeader));
        return;
      }
      if (path.startsWith("/grpc.health.v1.Health/")) return;
      if (!path.startsWith("/grpc.reflection.")) throw methodNotFound(path);
      const principal = guard.admit(reflectionAccess, headerReader(metadata));
      return principal instanceof Promise ? principal.then(reflect) : reflect(principal);
    };
    return onHeaders(call, check, {
      onEnd() {
        leave?.();
        unguarded.delete(call);
      },
    });
  }

  return {
    interceptor({ path }, call) {
      const plan = guard.planOf(path);
      const gated = plan === undefined ? interceptUnguarded(path, call) : intercept(plan, call);
      // The type asks for grpc-js's own wrapper, which costs every message; the contract is its interface.
      return gated as ServerInterceptingCall;
    },
    take(metadata) {
      const gated = gatedCalls.get(metadata);
      if (gated === undefined) throw new Error("the call was not admitted");
      return gated;
    },
    answerUnknownPaths,
    endUnguarded: () => endWithDraining(unguarded),
    endAll() {
      endWithDraining(unguarded);
      endWithDraining(guarded);
    },
  };
}

function endWithDraining(calls: Iterable<ServerCall>): void {
  const status = toGrpcStatus(toConnectError(drainingError()));
  for (const call of calls) call.sendStatus(status);
}

/** Its client may read nothing, so the status may never arrive; one that reads hears it. */
function cutStream(call: ServerCall): void {
  call.sendStatus(toGrpcStatus(toConnectError(drainingError())));
  setTimeout(() => resetStream(call), lingerMs);
}

/**
 * Statuses that grpc-js makes itself (deadline, oversize, compression) go through the call's own sendStatus and past
 * every interceptor. So that they carry our details too, the method is wrapped on the call itself.
 */
function completeStatuses(plan: MethodPlan, call: ServerCall, values: ContextValues): void {
  const send = call.sendStatus.bind(call);
  call.sendStatus = (status) => send(complete(plan, status, values, isGone(call)));
}

function complete(
  plan: MethodPlan,
  status: Status,
  values: ContextValues,
  callerIsGone: boolean,
): Status {
  if (status.code === grpcStatus.OK || hasDetails(status.metadata)) return status;
  const rpcCall = values.get(rpcCallKey);
  if (rpcCall === undefined) return status;
  // A caller that leaves in the middle of its message has sent none, as far as grpc-js knows.
  const code = callerIsGone ? Code.Canceled : toCode(status.code);
  return toGrpcStatus(rpcCall.failLibrary(code, status.details ?? plan.path));
}

/** True if the HTTP/2 stream behind a call was cut by its caller. The conformance test watches it. */
function isGone(call: ServerCall): boolean {
  const stream: unknown = Reflect.get(call, "stream");
  if (typeof stream !== "object" || stream === null) return false;
  return Reflect.get(stream, "aborted") === true || Number(Reflect.get(stream, "rstCode")) > 0;
}

/** Runs a check when the headers are there; a body is read only if it passes. */
function onHeaders(
  call: ServerCall,
  check: (metadata: Metadata) => void | Promise<void>,
  { onRequest, onEnd }: { readonly onRequest?: () => void; readonly onEnd: () => void },
): ServerCall {
  const start = call.start.bind(call);
  call.start = (listener: Listener) =>
    start({
      onReceiveMetadata(metadata) {
        try {
          const checked = check(metadata);
          if (checked === undefined) listener.onReceiveMetadata(metadata);
          else
            checked.then(
              () => listener.onReceiveMetadata(metadata),
              (error: unknown) => refuse(call, error),
            );
        } catch (error) {
          refuse(call, error);
        }
      },
      onReceiveMessage: (message) => listener.onReceiveMessage(message),
      onReceiveHalfClose() {
        onRequest?.();
        listener.onReceiveHalfClose();
      },
      onCancel() {
        onEnd();
        listener.onCancel();
      },
    });
  return call;
}

function refuse(call: ServerCall, error: unknown): void {
  call.sendStatus(toGrpcStatus(toConnectError(error)));
}

function headerReader(metadata: Metadata): HeaderReader {
  return (name) => metadata.get(name)[0]?.toString();
}

/** grpc-js offers no way to reset one stream; the HTTP/2 stream behind a call does. The conformance test watches it. */
function resetStream(call: ServerCall): void {
  const stream: unknown = Reflect.get(call, "stream");
  if (typeof stream !== "object" || stream === null || !("close" in stream)) return;
  if (typeof stream.close === "function") stream.close(8); // NGHTTP2_CANCEL
}

/**
 * grpc-js answers a path that it does not know without details, and before any interceptor. It finds handlers in a Map
 * by path, so that Map is taught to know every path, and the interceptor refuses what is none of ours. Were the Map
 * renamed, the details would be missing again and the conformance test fail.
 */
function answerUnknownPaths(server: Server): void {
  const handlers: unknown = Reflect.get(server, "handlers");
  if (!(handlers instanceof Map)) return;
  const get = handlers.get.bind(handlers);
  handlers.get = (path: string) => get(path) ?? unknownHandler(path);
}

function unknownHandler(path: string) {
  return {
    path,
    type: "bidi",
    serialize: passBytes,
    deserialize: passBytes,
    func: () => undefined,
  };
}

const passBytes = (bytes: Buffer): Buffer => bytes;
