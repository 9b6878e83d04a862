import { create } from "@bufbuild/protobuf";
import { asError, DomainError, invalidField } from "#common/domain-error.ts";
import { requirePrincipal } from "#common/rpc/access/principal.ts";
import { limitOf } from "#common/rpc/call-limit.ts";
import type { BatchHandler } from "#common/rpc/mount.ts";
import { refusalOf } from "#common/rpc/strict/refusal.ts";
import { createRequestValidator } from "#common/rpc/strict/validate.ts";
import {
  ClearBatchRequestSchema,
  ClearRequestSchema,
} from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import type { ClearingHouse } from "../core/house.ts";
import type { ReservePostings } from "../core/postings-under-way.ts";
import { type CutBatch, cutBatch } from "./cut.ts";
import type { BatchThreads } from "./threads.ts";
import { createTurns } from "./turns.ts";

/** The most postings in one batch: what fits into one request to the ledger. As many requests, for each has one. */
export const batchPostingsMax = 8_189;

/**
 * ClearBatch on threads. The batch is cut into slices, which the threads clear, and their answers are joined: all in
 * bytes, for lists in protobuf may be cut and joined so. Batches that run together take turns, slice by slice, and all
 * go gently while single calls come to the clearing house.
 */
export function createClearBatch(
  clearing: Pick<ClearingHouse, "requireLedger" | "reserve" | "isIdle">,
  threads: Omit<BatchThreads, "json">,
): BatchHandler {
  const validator = createRequestValidator();
  const enter = createTurns(() =>
    clearing.isIdle() ? threads.slicesMax : threads.gentleSlicesMax,
  );
  return async (bytes, ctx) => {
    const batch = await cut(bytes);
    const requests = Array(batch.requests).fill(anyRequest);
    validator.check(ClearBatchRequestSchema, create(ClearBatchRequestSchema, { requests }));
    checkPostings(batch);
    const caller = requirePrincipal(ctx);
    const limit = limitOf(ctx);
    // Nothing was sent yet: the batch is refused whole. Later each intent is refused for itself, on its thread.
    clearing.requireLedger();
    const giveBack = reserveUntilAbort(clearing.reserve, batch.postings, limit.signal);
    try {
      const answers: Promise<Uint8Array | Error>[] = [];
      for (const slice of batch.slices) {
        const leave = await enter(limit.signal);
        if (leave === undefined) throw answers.length === 0 ? notSent() : limit.signal?.reason;
        const gently = !clearing.isIdle();
        const answer = threads.clearSlice(slice, caller, { ...limit, gently });
        answers.push(answer.catch(asError).finally(leave));
      }
      return Buffer.concat((await Promise.all(answers)).map(orThrow));
    } finally {
      giveBack();
    }
  };
}

/**
 * Counts a batch's postings until what it returns is called, or until nobody waits for the batch any more: what it then
 * still has on threads is no more than these take at once.
 */
function reserveUntilAbort(
  reserve: ReservePostings,
  postings: number,
  signal: AbortSignal | undefined,
): () => void {
  const ended = reserve(postings);
  let reserved = postings;
  const giveBack = () => {
    signal?.removeEventListener("abort", giveBack);
    ended(reserved);
    reserved = 0;
  };
  signal?.addEventListener("abort", giveBack, { once: true });
  return giveBack;
}

/** The time was over before the first slice had its turn. Later only each intent's own answer would tell. */
function notSent(): DomainError<"NOT_SENT"> {
  return new DomainError("NOT_SENT", "the deadline passed before anything was sent");
}

const anyRequest = create(ClearRequestSchema);

function orThrow(answer: Uint8Array | Error): Uint8Array {
  if (answer instanceof Error) throw answer;
  return answer;
}

/** Postings in a slice: some ten milliseconds of a thread's work, and one request each to PostgreSQL and the ledger. */
const slicePostingsMax = 128;

async function cut(bytes: Uint8Array): Promise<CutBatch> {
  try {
    return await cutBatch(bytes, { slicePostingsMax, requestsMax: batchPostingsMax + 1 });
  } catch (error) {
    throw refusalOf(error);
  }
}

function checkPostings({ postings }: CutBatch): void {
  if (postings <= batchPostingsMax) return;
  throw invalidField(
    "requests",
    "batch.postings",
    `hold ${postings} postings; a batch takes at most ${batchPostingsMax}`,
  );
}
