import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { nextItem } from "#common/rpc/strict/next-item.ts";
import { ClearingIntentSchema } from "#gen/sovr/attestor/v1/intent_pb.ts";
import {
  ClearBatchRequestSchema,
  ClearRequestSchema,
} from "#gen/sovr/clearing/v1/clearing_service_pb.ts";

/** An encoded ClearBatchRequest in slices, each of which is one too, and what it holds in all. */
export interface CutBatch {
  /** Parts of the bytes that were cut, not copies. */
  readonly slices: readonly Uint8Array[];
  readonly requests: number;
  readonly postings: number;
}

export interface CutOptions {
  /** The most postings in a slice; a request without any counts as one. A request that is larger has its own slice. */
  readonly slicePostingsMax: number;
  /** Nothing is read after as many requests. */
  readonly requestsMax: number;
}

const requestsField = ClearBatchRequestSchema.field.requests;
const intentField = ClearRequestSchema.field.intent.number;
const postingsField = ClearingIntentSchema.field.postings.number;

/** How many requests are looked at before other calls get their turn: a fraction of a millisecond. */
const turnRequests = 256;

/**
 * Cuts an encoded ClearBatchRequest without decoding it. Rejects with an Error where the bytes are no list of requests
 * and nothing else;
 * what is wrong inside a request shows when that is read.
 */
export async function cutBatch(bytes: Uint8Array, options: CutOptions): Promise<CutBatch> {
  const reader = new BinaryReader(bytes);
  const slices: Uint8Array[] = [];
  let [sliceStart, sliceWeight] = [0, 0];
  let [requests, postings] = [0, 0];
  while (reader.pos < reader.len && requests < options.requestsMax) {
    const start = reader.pos;
    const request = nextItem(reader, requestsField);
    const count = countPostings(request);
    const weight = Math.max(1, count);
    if (sliceWeight > 0 && sliceWeight + weight > options.slicePostingsMax) {
      slices.push(bytes.subarray(sliceStart, start));
      [sliceStart, sliceWeight] = [start, 0];
    }
    sliceWeight += weight;
    postings += count;
    requests += 1;
    if (requests % turnRequests === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  if (sliceWeight > 0) slices.push(bytes.subarray(sliceStart, reader.pos));
  return { slices, requests, postings };
}

/** The requests of an encoded ClearBatchRequest, each encoded. Throws Error where the bytes are no list of requests. */
export function requestsIn(batch: Uint8Array): Uint8Array[] {
  const reader = new BinaryReader(batch);
  const requests: Uint8Array[] = [];
  while (reader.pos < reader.len) requests.push(nextItem(reader, requestsField));
  return requests;
}

/** How many postings the intent of a request has; 0 if that cannot be read. */
function countPostings(request: Uint8Array): number {
  try {
    return sumOver(request, intentField, (intent) => sumOver(intent, postingsField, () => 1));
  } catch {
    return 0;
  }
}

/** The sum of what each field with a number counts in a message. */
function sumOver(message: Uint8Array, number: number, count: (bytes: Uint8Array) => number) {
  const reader = new BinaryReader(message);
  let sum = 0;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === number && wireType === WireType.LengthDelimited) sum += count(reader.bytes());
    else reader.skip(wireType, field);
  }
  return sum;
}
