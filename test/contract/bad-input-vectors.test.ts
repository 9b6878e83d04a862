// Goal: test/vectors/bad-input.json says what can be said: methods that exist, requests that can be sent, codes and
// reasons that belong together. Method: expand every row without a mesh. What the mesh answers is another test's.
import { createRegistry, fromJson, type JsonObject, toJson } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { formatAttestation, formatIntent, parseIntent } from "#common/intent/codec.ts";
import { isReason, ruleOf } from "#common/rpc/reasons.ts";
import { AttestationSchema } from "#gen/sovr/attestor/v1/attestation_pb.ts";
import { file_sovr_attestor_v1_attestor_service } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { ClearingIntentSchema } from "#gen/sovr/attestor/v1/intent_pb.ts";
import {
  CreateCheckoutRequestSchema,
  file_sovr_checkout_v1_checkout_service,
} from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { file_sovr_clearing_v1_clearing_service } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { file_sovr_eventstream_v1_event_stream_service } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { file_sovr_ledger_v1_ledger_service } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { type BadInputWorld, readBadInput } from "../support/intents/bad-input.ts";
import { attest, intentOf, testDomain } from "../support/intents/intents.ts";

const registry = createRegistry(
  file_sovr_attestor_v1_attestor_service,
  file_sovr_checkout_v1_checkout_service,
  file_sovr_clearing_v1_clearing_service,
  file_sovr_eventstream_v1_event_stream_service,
  file_sovr_ledger_v1_ledger_service,
);
const services = [
  "sovr.attestor.v1.AttestorService",
  "sovr.checkout.v1.CheckoutService",
  "sovr.clearing.v1.ClearingService",
  "sovr.eventstream.v1.EventStreamService",
  "sovr.ledger.v1.LedgerService",
];
const world: BadInputWorld = {
  domain: testDomain,
  clusterId: 0n,
  async attest(request) {
    const intent = parseIntent(fromJson(ClearingIntentSchema, request["intent"] ?? {}));
    return toJson(AttestationSchema, formatAttestation(attest(intent))) as JsonObject;
  },
  async createCheckout(request) {
    fromJson(CreateCheckoutRequestSchema, request);
    return toJson(ClearingIntentSchema, formatIntent(intentOf())) as JsonObject;
  },
};
const cases = readBadInput();

test("no two rows have the same name, and there are enough of them", () => {
  expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
  expect(cases.length).toBeGreaterThan(200);
});

test("every method of every service is refused something", () => {
  const refused = new Set(cases.map(({ service, method }) => `${service}/${method}`));
  const methods = services.flatMap((name) =>
    (registry.getService(name)?.methods ?? []).map((method) => `${name}/${method.name}`),
  );
  expect(methods.filter((name) => !refused.has(name) && !name.endsWith("/ListAssets"))).toEqual([]);
});

test.each(cases)("$name", async ({ service, method, expect: refusal, request }) => {
  const descriptor = registry.getService(service)?.methods.find(({ name }) => name === method);
  if (descriptor === undefined) throw new Error(`${service} has no method ${method}`);
  const json = await request(world);
  expect(JSON.stringify(json)).not.toMatch(/\{\{/);
  fromJson(descriptor.input, json);
  const { reason, code } = refusal;
  if (!isReason(reason)) throw new Error(`there is no reason ${reason}`);
  expect(codeName(ruleOf(reason).code)).toBe(code);
});

function codeName(code: Code): string {
  return Code[code].replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}
