import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { formatCursor } from "#common/cursor.ts";
import { asError, invalidField } from "#common/domain-error.ts";
import {
  formatAttestation,
  formatIntent,
  formatNanoseconds,
  formatPhase,
  parseAttestation,
  parseIntent,
} from "#common/intent-codec.ts";
import { checkShape } from "#common/intent-rules.ts";
import { toConnectError, toStatus } from "#common/rpc/errors.ts";
import { requirePrincipal } from "#common/rpc/principal.ts";
import { createRequestValidator } from "#common/rpc/validate.ts";
import { formatU128 } from "#common/u128.ts";
import { parseWallet } from "#common/wallet.ts";
import {
  type Clearing as ClearingProto,
  ClearingSchema,
  ClearingState,
} from "#gen/sovr/clearing/v1/clearing_pb.ts";
import type {
  ClearingService,
  ClearRequest as ClearRequestProto,
  ClearResult as ClearResultProto,
} from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import {
  ClearRequestSchema,
  ClearResultSchema,
} from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { ErrorReason } from "#gen/sovr/common/v1/error_reason_pb.ts";
import type { CallLimit, Clearing, ClearingHouse, ClearRequest, ClearResult } from "./clearing.ts";
import { clearingErrors } from "./errors.ts";

export interface ClearingServiceOptions {
  readonly clearing: ClearingHouse;
  /** u128; goes into cursors. */
  readonly clusterId: bigint;
  /** Hears of a fault that only one result of a batch carries. */
  readonly onFault: (error: unknown, message: string) => void;
}

/** The most postings in one batch: what fits into one request to the ledger. */
export const batchPostingsMax = 8_189;

/** ClearingService on the clearing house. */
export function createClearingService(
  options: ClearingServiceOptions,
): ServiceImpl<typeof ClearingService> {
  const { clearing, clusterId } = options;
  // The runtime checks whole requests; the items of a batch stand alone, and so does what is wrong with one. What can
  // be read is in order; only what cannot is worth the validator's time, for its words are those that Clear would say.
  const validator = createRequestValidator();
  const tryParse = (request: ClearRequestProto): ClearRequest | Error => {
    try {
      return parseBatchItem(request);
    } catch (error) {
      return refusalOf(request) ?? asError(error);
    }
  };
  const refusalOf = (request: ClearRequestProto): Error | undefined => {
    try {
      validator.check(ClearRequestSchema, request);
      return undefined;
    } catch (error) {
      return asError(error);
    }
  };
  return {
    async clear(request, ctx) {
      const [result] = await clearing.clear(
        [parseClearRequest(request)],
        requirePrincipal(ctx),
        limitOf(ctx),
      );
      if (result === undefined) throw new Error("Clear gave no result");
      if (result instanceof Error) throw result;
      return { clearing: formatClearing(result, clusterId) };
    },

    async clearBatch({ requests }, ctx) {
      checkBatchSize(requests);
      const parsed = await mapInPages(requests, tryParse);
      const wellFormed = parsed.flatMap((request) => (request instanceof Error ? [] : [request]));
      const cleared = await clearing.clear(wellFormed, requirePrincipal(ctx), limitOf(ctx));
      let next = 0;
      const results = await mapInPages(parsed, (request) =>
        formatResult(request instanceof Error ? request : cleared[next++], options),
      );
      return { results };
    },

    async getClearing({ intentId }, ctx) {
      const found = await clearing.read(intentId, requirePrincipal(ctx), limitOf(ctx));
      return {
        clearing: formatClearing(found.clearing, clusterId),
        intent: formatIntent(found.evidence.intent),
        attestation: formatAttestation(found.evidence.attestation),
      };
    },

    async openWallet({ wallet, ledger }, ctx) {
      const opened = await clearing.openWallet(
        parseWallet(wallet, "wallet"),
        ledger,
        requirePrincipal(ctx),
        limitOf(ctx),
      );
      return { accountId: formatU128(opened.accountId), opened: opened.opened };
    },
  };
}

const timeoutMsDefault = 10_000;
const marginMsMin = 20;
const marginShare = 0.05;

/** The call's limit, less the time that the answer needs on its way. */
function limitOf(ctx: HandlerContext): CallLimit {
  const timeoutMs = ctx.timeoutMs() ?? timeoutMsDefault;
  const marginMs = Math.max(marginMsMin, timeoutMs * marginShare);
  return { deadlineMs: Date.now() + timeoutMs - marginMs, signal: ctx.signal };
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

function parseClearRequest(request: ClearRequestProto): ClearRequest {
  const { intent, attestation, validateOnly } = request;
  if (intent === undefined) throw invalidField("intent", "required", "is required");
  if (attestation === undefined) throw invalidField("attestation", "required", "is required");
  return {
    intent: parseIntent(intent),
    attestation: parseAttestation(attestation),
    validateOnly,
  };
}

/** How many items of a batch are worked on before other calls get their turn: a fraction of a millisecond. */
const pageSize = 32;

async function mapInPages<Item, Result>(
  items: readonly Item[],
  map: (item: Item) => Result,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const item of items) {
    results.push(map(item));
    if (results.length % pageSize === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return results;
}

function checkBatchSize(requests: readonly ClearRequestProto[]): void {
  const postings = requests.reduce((sum, { intent }) => sum + (intent?.postings.length ?? 0), 0);
  if (postings <= batchPostingsMax) return;
  throw invalidField(
    "requests",
    "batch.postings",
    `hold ${postings} postings; a batch takes at most ${batchPostingsMax}`,
  );
}

function formatResult(
  result: ClearResult | undefined,
  { clusterId, onFault }: ClearingServiceOptions,
): ClearResultProto {
  if (result !== undefined && !(result instanceof Error)) {
    const value = formatClearing(result, clusterId);
    return create(ClearResultSchema, { outcome: { case: "clearing", value } });
  }
  const error = toConnectError(result ?? new Error("ClearBatch gave no result"), clearingErrors);
  if (error.code === clearingErrors.INTERNAL.code) onFault(result, "an intent of a batch failed");
  return create(ClearResultSchema, { outcome: { case: "error", value: toStatus(error) } });
}

const states = {
  CLEARED: ClearingState.CLEARED,
  FAILED: ClearingState.FAILED,
  UNKNOWN: ClearingState.UNKNOWN,
  VALIDATED: ClearingState.VALIDATED,
} as const satisfies Record<Clearing["state"], ClearingState>;

function formatClearing(clearing: Clearing, clusterId: bigint): ClearingProto {
  const { failure, commitTimestamp } = clearing;
  const proto = create(ClearingSchema, {
    intentId: clearing.intentId,
    digest: clearing.digest,
    phase: formatPhase(clearing.phase),
    state: states[clearing.state],
    transferIds: clearing.transferIds.map(formatU128),
    replayed: clearing.replayed,
  });
  if (clearing.state === "CLEARED") {
    proto.commitTime = formatNanoseconds(commitTimestamp);
    proto.cursor = formatCursor(clusterId, {
      timestamp: commitTimestamp,
      kind: "COMMIT",
      pendingTimestamp: 0n,
    });
  }
  if (failure !== undefined) {
    proto.failureReason = reasonNumber(failure.reason);
    if (failure.timeMs > 0) proto.failureTime = timestampFromMs(failure.timeMs);
  }
  return proto;
}

/** The proto value of a recorded reason; UNSPECIFIED for one that this version does not know. */
function reasonNumber(reason: string): ErrorReason {
  const known: Readonly<Record<string, ErrorReason>> = ErrorReason;
  return known[reason] ?? ErrorReason.UNSPECIFIED;
}
