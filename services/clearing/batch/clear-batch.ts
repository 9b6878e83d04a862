import { create } from "@bufbuild/protobuf";
import { asError, invalidField } from "#common/domain-error.ts";
import { requirePrincipal } from "#common/rpc/access/principal.ts";
import { limitOf } from "#common/rpc/call-limit.ts";
import type { BatchHandler } from "#common/rpc/mount.ts";
import { undecodable } from "#common/rpc/rpc-call.ts";
import { createRequestValidator } from "#common/rpc/validate.ts";
import {
  ClearBatchRequestSchema,
  ClearRequestSchema,
} from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import type { ClearingHouse } from "../core/clearing.ts";
import { type CutBatch, cutBatch } from "./cut.ts";
import type { BatchThreads } from "./threads.ts";

/** The most postings in one batch: what fits into one request to the ledger. As many requests, for each has one. */
export const batchPostingsMax = 8_189;

/**
 * ClearBatch on threads. The batch is cut into pages, which the threads clear, and their answers are joined: all in
 * bytes, for lists in protobuf may be cut and joined so. Batches that run together take turns, page by page, and all
 * go gently while single calls come to the clearing house.
 */
export function createClearBatch(
  clearing: Pick<ClearingHouse, "reserve" | "isIdle">,
  threads: BatchThreads,
): BatchHandler {
  const validator = createRequestValidator();
  const enter = createTurns(() => (clearing.isIdle() ? threads.pagesMax : threads.gentlePagesMax));
  return async (bytes, ctx) => {
    const batch = await cut(bytes);
    const requests = Array(batch.requests).fill(anyRequest);
    validator.check(ClearBatchRequestSchema, create(ClearBatchRequestSchema, { requests }));
    checkPostings(batch);
    const caller = requirePrincipal(ctx);
    const limit = limitOf(ctx);
    const ended = clearing.reserve(batch.postings);
    try {
      const answers: Promise<Uint8Array | Error>[] = [];
      for (const page of batch.pages) {
        const leave = await enter();
        // Nobody waits for the answer any more.
        if (limit.signal?.aborted === true) {
          leave();
          break;
        }
        const gently = !clearing.isIdle();
        const answer = threads.clearPage(page, caller, { ...limit, gently });
        answers.push(answer.catch(asError).finally(leave));
      }
      return Buffer.concat((await Promise.all(answers)).map(orThrow));
    } finally {
      ended(batch.postings);
    }
  };
}

const anyRequest = create(ClearRequestSchema);

function orThrow(answer: Uint8Array | Error): Uint8Array {
  if (answer instanceof Error) throw answer;
  return answer;
}

/** Postings in a page: some ten milliseconds of a thread's work, and one request each to PostgreSQL and the ledger. */
const pagePostingsMax = 128;

async function cut(bytes: Uint8Array): Promise<CutBatch> {
  try {
    return await cutBatch(bytes, { pagePostingsMax, requestsMax: batchPostingsMax + 1 });
  } catch (error) {
    throw undecodable(asError(error).message, "", error);
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

/** Lets in as many at once as `max` says at the time, in the order in which they came. Who was let in must leave. */
function createTurns(max: () => number): () => Promise<() => void> {
  const waiting: (() => void)[] = [];
  let inside = 0;
  const letIn = () => {
    while (inside < max()) {
      const next = waiting.shift();
      if (next === undefined) return;
      inside += 1;
      next();
    }
  };
  const leave = () => {
    inside -= 1;
    letIn();
  };
  return () =>
    new Promise((resolve) => {
      waiting.push(() => resolve(leave));
      letIn();
    });
}
