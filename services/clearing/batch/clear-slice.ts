import { create, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { Caller } from "#common/caller.ts";
import type { CallLimit } from "#common/deadline.ts";
import { asError } from "#common/domain-error.ts";
import { checkShape } from "#common/intent/rules.ts";
import { toConnectError, toStatus } from "#common/rpc/errors.ts";
import { readBinary } from "#common/rpc/strict/read-request.ts";
import { createRequestValidator } from "#common/rpc/strict/validate.ts";
import {
  ClearBatchResponseSchema,
  type ClearRequest as ClearRequestProto,
  ClearRequestSchema,
  type ClearResult as ClearResultProto,
  ClearResultSchema,
} from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { formatClearing, parseClearRequest } from "../codec.ts";
import type { ClearRequest } from "../core/clearing.ts";
import type { ClearList, ClearResult } from "./clear-list.ts";
import { requestsIn } from "./cut.ts";

export interface ClearSliceOptions {
  readonly clearList: ClearList;
  /** u128; goes into cursors. */
  readonly clusterId: bigint;
  /** Hears of a fault that only one result carries. */
  readonly onFault: (error: unknown, message: string) => void;
}

/** Clears a slice of a batch: an encoded ClearBatchRequest in, an encoded ClearBatchResponse out. */
export type ClearSlice = (
  slice: Uint8Array,
  caller: Caller,
  limit: CallLimit,
) => Promise<Uint8Array>;

/** Clears slices. The requests of a slice stand alone, and so does what is wrong with one. */
export function createClearSlice(options: ClearSliceOptions): ClearSlice {
  const { clearList } = options;
  const validator = createRequestValidator();
  // What can be read is in order; only what cannot is worth the validator's time, for its words are what Clear would say.
  const refusalOf = (request: ClearRequestProto): Error | undefined => {
    try {
      validator.check(ClearRequestSchema, request);
      return undefined;
    } catch (error) {
      return asError(error);
    }
  };
  const tryParse = (request: ClearRequestProto | Error): ClearRequest | Error => {
    if (request instanceof Error) return request;
    try {
      return parseBatchItem(request);
    } catch (error) {
      return refusalOf(request) ?? asError(error);
    }
  };
  return async (slice, caller, limit) => {
    const parsed = requestsIn(slice).map(tryDecode).map(tryParse);
    const wellFormed = parsed.flatMap((request) => (request instanceof Error ? [] : [request]));
    const cleared = await clearList(wellFormed, caller, limit);
    let next = 0;
    const results = parsed.map((request) =>
      formatResult(request instanceof Error ? request : cleared[next++], options),
    );
    return toBinary(ClearBatchResponseSchema, create(ClearBatchResponseSchema, { results }));
  };
}

function tryDecode(bytes: Uint8Array): ClearRequestProto | Error {
  try {
    return readBinary(ClearRequestSchema, bytes);
  } catch (error) {
    return asError(error);
  }
}

/**
 * Reads a request that no validator has seen. Throws INVALID_FIELD, at least wherever the rules of its proto would
 * refuse it.
 */
export function parseBatchItem(request: ClearRequestProto): ClearRequest {
  const parsed = parseClearRequest(request);
  checkShape(parsed.intent);
  return parsed;
}

function formatResult(
  result: ClearResult | undefined,
  { clusterId, onFault }: ClearSliceOptions,
): ClearResultProto {
  if (result !== undefined && !(result instanceof Error)) {
    const value = formatClearing(result, clusterId);
    return create(ClearResultSchema, { outcome: { case: "clearing", value } });
  }
  const error = toConnectError(result ?? new Error("ClearBatch gave no result"));
  if (error.code === Code.Internal) onFault(result, "an intent of a batch failed");
  return create(ClearResultSchema, { outcome: { case: "error", value: toStatus(error) } });
}
