// Goal: each request of a batch is read as Attest would read it, and what is wrong with one is its own. Method: encoded
// batches through the handler, over a core that attests everything.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { createContextValues, createHandlerContext } from "@connectrpc/connect";
import { expect, test, vi } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import { formatIntent } from "#common/intent/codec.ts";
import { principalKey } from "#common/rpc/access/principal.ts";
import type { UnaryContext } from "#common/rpc/unary-context.ts";
import { leavesMax } from "#common/tree/merkle.ts";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.ts";
import {
  AttestBatchRequestSchema,
  AttestBatchResponseSchema,
  AttestorService,
  type AttestRequest,
  AttestRequestSchema,
  type AttestResult,
} from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { attest, digestIntent, intentOf } from "../../../test/support/intents/intents.ts";
import type { AttestMany } from "../attest-many.ts";
import { createAttestBatch } from "./attest-batch.ts";

const principal = {
  subject: "test",
  scopes: new Set(["attest" as const]),
  expiresAtMs: 0,
  wallet: undefined,
};
const context = {
  ...createHandlerContext({
    service: AttestorService,
    method: AttestorService.method.attestBatch,
    protocolName: "grpc",
    requestMethod: "POST",
    url: "http://test/",
    contextValues: createContextValues().set(principalKey, principal),
  }),
  timeoutMs: () => 60_000,
} as unknown as UnaryContext;

/** A core that attests everything but what `refuses` names by its reference. */
function handlerOf(refuses: Readonly<Record<string, Error>> = {}) {
  const core = vi.fn<AttestMany>(async (requests) =>
    requests.map(({ intent }) => refuses[intent.reference] ?? attest(intent)),
  );
  const error = vi.fn();
  return { core, error, handler: createAttestBatch({ attestMany: core, logger: { error } }) };
}

const requestOf = (fields: Parameters<typeof intentOf>[0] = {}): AttestRequest =>
  create(AttestRequestSchema, { intent: formatIntent(intentOf(fields)) });

function bytesOf(requests: readonly AttestRequest[]): Uint8Array {
  const message = create(AttestBatchRequestSchema, { requests: [...requests] });
  return toBinary(AttestBatchRequestSchema, message);
}

/** The digest that was attested, or the field that is named. */
function said({ outcome }: AttestResult): string {
  if (outcome.case === "attestation") return outcome.value.digest;
  const details = outcome.case === "error" ? outcome.value.details : [];
  for (const detail of details) {
    const field = anyUnpack(detail, BadRequestSchema)?.fieldViolations[0]?.field;
    if (field !== undefined) return field;
  }
  return outcome.case === "error" ? `code ${outcome.value.code}` : "nothing";
}

test("answers in the requests' order, and what is wrong with one harms no other", async () => {
  const malformed = requestOf();
  if (malformed.intent !== undefined) malformed.intent.intentId = "not-a-uuid";
  const tooLarge = requestOf();
  const [leg] = tooLarge.intent?.postings ?? [];
  if (leg !== undefined) leg.amount = "9".repeat(39);
  const unsigned = create(AttestRequestSchema, { ...requestOf(), walletSignature: "0x12" });
  const [first, last] = [intentOf(), intentOf()];
  const requests = [
    create(AttestRequestSchema, { intent: formatIntent(first) }),
    malformed,
    create(AttestRequestSchema),
    tooLarge,
    unsigned,
    requestOf({ reference: "no" }),
    requestOf({ reference: "fault" }),
    create(AttestRequestSchema, { intent: formatIntent(last) }),
  ];
  const { core, error, handler } = handlerOf({
    no: new DomainError("SCOPE_MISSING", "no", { metadata: { scope: "attest" } }),
    fault: new Error("a fault of ours"),
  });
  const answer = await handler(bytesOf(requests), context);
  expect(fromBinary(AttestBatchResponseSchema, answer).results.map(said)).toEqual([
    digestIntent(first),
    "intent.intent_id",
    "intent",
    "intent.postings[0].amount",
    "wallet_signature",
    "code 7",
    "code 13",
    digestIntent(last),
  ]);
  expect(error).toHaveBeenCalledTimes(1);
  expect(core.mock.calls[0]?.[0]).toHaveLength(4);
  expect(core.mock.calls[0]?.[0][0]?.caller).toBe(principal);
});

test("refuses whoever is bound to a wallet, before anything is looked at", async () => {
  const { core, handler } = handlerOf();
  const bound = { ...principal, wallet: intentOf().wallet };
  const values = createContextValues().set(principalKey, bound);
  const call = handler(bytesOf([requestOf()]), { ...context, values });
  await expect(call).rejects.toMatchObject({ kind: "SCOPE_MISSING" });
  expect(core).not.toHaveBeenCalled();
});

test("refuses a batch that is none whole: empty, too long, with other fields, cut short", async () => {
  const { core, handler } = handlerOf();
  const one = bytesOf([requestOf()]);
  const many = bytesOf(Array(leavesMax + 1).fill(create(AttestRequestSchema)));
  const faulty = [
    new Uint8Array(),
    many,
    Buffer.concat([one, Buffer.from([0x10, 1])]),
    one.subarray(0, -1),
  ];
  for (const bytes of faulty) {
    await expect(handler(bytes, context)).rejects.toMatchObject({ kind: "INVALID_FIELD" });
  }
  expect(core).not.toHaveBeenCalled();
});
