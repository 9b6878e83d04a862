import { setImmediate as nextTurn } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { Code } from "@connectrpc/connect";
import { parseApprovals } from "#common/approval/codec.ts";
import { requireUnbound } from "#common/caller.ts";
import { asError } from "#common/domain-error.ts";
import { formatAttestation, parseIntent, parseWalletSignature } from "#common/intent/codec.ts";
import { checkShape } from "#common/intent/rules.ts";
import type { Logger } from "#common/process/logger.ts";
import { requirePrincipal } from "#common/rpc/access/principal.ts";
import { limitOf } from "#common/rpc/call-limit.ts";
import { toConnectError, toStatus } from "#common/rpc/errors.ts";
import type { BatchHandler } from "#common/rpc/mount.ts";
import { nextItem } from "#common/rpc/strict/next-item.ts";
import { readBinary } from "#common/rpc/strict/read-request.ts";
import { refusalOf } from "#common/rpc/strict/refusal.ts";
import { createRequestValidator } from "#common/rpc/strict/validate.ts";
import { leavesMax } from "#common/tree/merkle.ts";
import {
  AttestBatchRequestSchema,
  AttestBatchResponseSchema,
  type AttestRequest as AttestRequestProto,
  AttestRequestSchema,
  type AttestResult as AttestResultProto,
  AttestResultSchema,
} from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import type { AttestMany, AttestResult } from "../attest-many.ts";
import type { AttestRequest } from "../attestation.ts";
import { required } from "../codec.ts";

export interface AttestBatchOptions {
  readonly attestMany: AttestMany;
  /** Hears of a fault that only one result carries. */
  readonly logger: Pick<Logger, "error">;
}

type Item = Omit<AttestRequest, "limit" | "caller">;

/** How many requests are read before other calls get their turn: a millisecond or two of work. */
const turnMax = 64;

/** AttestBatch: the requests of a batch stand alone, and so does what is wrong with one. */
export function createAttestBatch({ attestMany, logger }: AttestBatchOptions): BatchHandler {
  const validator = createRequestValidator();
  // What can be read is in order; only what cannot is worth the validator's time, for its words are what Attest would say.
  const whatIsWrong = (request: AttestRequestProto, otherwise: unknown): Error => {
    try {
      validator.check(AttestRequestSchema, request);
      return asError(otherwise);
    } catch (error) {
      return asError(error);
    }
  };
  const tryRead = (bytes: Uint8Array): Item | Error => {
    let request: AttestRequestProto;
    try {
      request = readBinary(AttestRequestSchema, bytes);
    } catch (error) {
      return asError(error);
    }
    try {
      return parseItem(request);
    } catch (error) {
      return whatIsWrong(request, error);
    }
  };
  return async (bytes, ctx) => {
    const encoded = itemsIn(bytes);
    const requests = Array(encoded.length).fill(anyRequest);
    validator.check(AttestBatchRequestSchema, create(AttestBatchRequestSchema, { requests }));
    const caller = requirePrincipal(ctx);
    // Thousands of checks in one call are for those who run a back end; a shopper attests one intent at a time.
    requireUnbound(caller, "it attests one intent at a time");
    const read = await inTurns(encoded, tryRead);
    const wellFormed = read.flatMap((item) => (item instanceof Error ? [] : [{ ...item, caller }]));
    const attested = await attestMany(wellFormed, limitOf(ctx));
    let next = 0;
    const results = await inTurns(read, (item) =>
      formatResult(item instanceof Error ? item : attested[next++], logger),
    );
    const answer = create(AttestBatchResponseSchema, { results });
    return Buffer.from(toBinary(AttestBatchResponseSchema, answer));
  };
}

const anyRequest = create(AttestRequestSchema);
const requestsField = AttestBatchRequestSchema.field.requests;

/** Cuts a batch without decoding it. One more than there may be is enough to refuse it. */
function itemsIn(bytes: Uint8Array): Uint8Array[] {
  const reader = new BinaryReader(bytes);
  const items: Uint8Array[] = [];
  try {
    while (reader.pos < reader.len && items.length <= leavesMax) {
      items.push(nextItem(reader, requestsField));
    }
  } catch (error) {
    throw refusalOf(error);
  }
  return items;
}

/** Reads a request that no validator has seen. Throws INVALID_FIELD, at least wherever its proto's rules would refuse it. */
function parseItem(request: AttestRequestProto): Item {
  const intent = parseIntent(required(request.intent, "intent"));
  checkShape(intent);
  return {
    intent,
    walletSignature: parseWalletSignature(request.walletSignature, "wallet_signature"),
    approvals: parseApprovals(request.approvals, "approvals"),
    validateOnly: request.validateOnly,
  };
}

function formatResult(
  result: AttestResult | undefined,
  logger: AttestBatchOptions["logger"],
): AttestResultProto {
  if (result !== undefined && !(result instanceof Error)) {
    const value = formatAttestation(result);
    return create(AttestResultSchema, { outcome: { case: "attestation", value } });
  }
  const error = toConnectError(result ?? new Error("AttestBatch gave no result"));
  if (error.code === Code.Internal) logger.error({ err: result }, "an intent of a batch failed");
  return create(AttestResultSchema, { outcome: { case: "error", value: toStatus(error) } });
}

async function inTurns<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Result,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const item of items) {
    results.push(work(item));
    if (results.length % turnMax === 0) await nextTurn();
  }
  return results;
}
