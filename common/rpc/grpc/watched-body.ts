import type { ConnectError } from "@connectrpc/connect";
import { bodyMsMax } from "../limits/admission.ts";
import type { MethodPlan } from "../method-plan.ts";
import { bodyTooSlow, type RpcCall } from "../rpc-call.ts";

/** The body of a request that is on its way. */
export interface WatchedBody {
  /** It is there, or the call is over. Safe to repeat. */
  arrived(): void;
}

/**
 * Counts the bytes of a call's request as they come, and refuses it when there are too many of them in the process or they
 * take too long. grpc-js hands out whole messages alone, so the method that gets its chunks is wrapped, and its bound for
 * what it decompresses is made the method's. Were they renamed, a call would be refused no earlier than it is decoded, and
 * the contract test of limits fail.
 */
export function watchBody(
  plan: MethodPlan,
  call: object,
  rpcCall: RpcCall,
  refuse: (error: ConnectError) => void,
): WatchedBody {
  const msMax = bodyMsMax(plan);
  const timer = setTimeout(() => {
    if (!rpcCall.finished) refuse(rpcCall.fail(bodyTooSlow(msMax)));
  }, msMax).unref();
  const handle: unknown = Reflect.get(call, "handleDataFrame");
  if (typeof handle === "function") {
    Reflect.set(call, "handleDataFrame", (data: Buffer) => {
      if (rpcCall.finished) return;
      try {
        rpcCall.bytes?.arrive(data.byteLength);
      } catch (error) {
        refuse(rpcCall.fail(error));
        return;
      }
      Reflect.apply(handle, call, [data]);
    });
  }
  if (typeof Reflect.get(call, "maxReceiveMessageSize") === "number")
    Reflect.set(call, "maxReceiveMessageSize", plan.requestBytesMax);
  return { arrived: () => clearTimeout(timer) };
}
