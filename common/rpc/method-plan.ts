import { type DescMethod, type DescService, getOption, hasOption } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { request_bytes_max as requestBytesMaxOption } from "#gen/sovr/common/v1/request_limit_pb.ts";
import { type AccessRule, accessOf } from "./access/access.ts";

const requestBytesMaxDefault = 1 << 20;
/** The most that a method may ask for; grpc-js knows one limit a server, so this is the one that it gets. */
export const requestBytesMaxLargest = 16 << 20;

/** What the runtime decides about a method once, when it is mounted. */
export interface MethodPlan extends AccessRule {
  readonly method: DescMethod;
  /** Such as "/sovr.ledger.v1.LedgerService/GetBalance". */
  readonly path: string;
  readonly requestBytesMax: number;
  /** True if the method only reads: a deadline that passes then means that nothing happened. */
  readonly readsOnly: boolean;
}

/**
 * Plans all methods of a service. Throws if one names no scope, a limit out of its range, or streams requests, which no
 * service of ours does.
 */
export function planMethods(service: DescService): readonly MethodPlan[] {
  return service.methods.map((method) => {
    if (method.methodKind !== "unary" && method.methodKind !== "server_streaming") {
      throw new Error(`${method.parent.typeName}.${method.name} streams requests: not supported`);
    }
    const path = `/${service.typeName}/${method.name}`;
    return Object.freeze({
      method,
      path,
      ...accessOf(method),
      requestBytesMax: requestBytesMaxOf(method),
      readsOnly: method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS,
    });
  });
}

function requestBytesMaxOf(method: DescMethod): number {
  if (!hasOption(method, requestBytesMaxOption)) return requestBytesMaxDefault;
  const bytesMax = getOption(method, requestBytesMaxOption);
  if (bytesMax >= 1 && bytesMax <= requestBytesMaxLargest) return bytesMax;
  throw new Error(
    `${method.parent.typeName}.${method.name} takes requests of ${bytesMax} bytes: expected 1 to ${requestBytesMaxLargest}`,
  );
}
