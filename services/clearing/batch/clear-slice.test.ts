import { create } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatAttestation, formatIntent } from "#common/intent/codec.ts";
import { createRequestValidator } from "#common/rpc/strict/validate.ts";
import {
  type ClearRequest,
  ClearRequestSchema,
} from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { attest, intentOf, posting } from "../../../test/support/intents/intents.ts";
import { parseBatchItem } from "./clear-slice.ts";

const good = intentOf({
  postings: [posting(), posting({ amount: 7n })],
  corrects: `0x${"ab".repeat(32)}`,
});
const attestation = attest(good);
const validator = createRequestValidator();

function goodRequest(): ClearRequest {
  const message = { intent: formatIntent(good), attestation: formatAttestation(attestation) };
  return create(ClearRequestSchema, message);
}

/** The messages in a request whose fields have rules. */
function partsOf({ intent, attestation }: ClearRequest): object[] {
  if (intent === undefined || attestation === undefined) throw new Error("not whole");
  return [intent, attestation, ...intent.postings];
}

const strange = ["", "0", "00", "+1", "-1", "0x", " 1", "1.0", "1e3", "\n", "é", "~".repeat(129)];
const changeOfText = fc.oneof(
  fc.constantFrom<(text: string) => string>(
    (text) => text.toUpperCase(),
    (text) => text.toLowerCase(),
    (text) => text.slice(0, -1),
    (text) => text.slice(2),
    (text) => `${text}\n`,
    (text) => `${text}0`,
    (text) => `0${text}`,
    (text) => `${text.slice(0, -1)}g`,
    (text) => text.replace("7", "4"),
  ),
  fc
    .oneof(
      fc.constantFrom(...strange),
      fc.string(),
      fc.bigInt({ min: 0n, max: 2n ** 129n }).map(String),
    )
    .map((text) => () => text),
);
const number = fc.oneof(
  fc.constantFrom(0, 1, 2, 3, 4, 64, 65_535, 65_536, 31_536_000, 31_536_001, 2 ** 32 - 1),
  fc.nat(),
);
const time = fc.option(
  fc
    .record({
      seconds: fc.bigInt({ min: -1n, max: 2n ** 40n }),
      nanos: fc.constantFrom(0, 1, 999_999_999),
    })
    .map((fields) => create(TimestampSchema, fields)),
  { nil: undefined },
);

type Change = typeof change extends fc.Arbitrary<infer Fields> ? Fields : never;
const change = fc.record({
  part: fc.nat(3),
  field: fc.nat(20),
  text: changeOfText,
  number,
  time,
  count: fc.constantFrom(0, 1, 64, 65),
});

/** Changes one field of one message to something that may be out of order. */
function alter(request: ClearRequest, { part, field, ...to }: Change): void {
  const parts = partsOf(request);
  const message = parts[part % parts.length] ?? {};
  const names = Object.keys(message).filter((name) => !name.startsWith("$"));
  const name = names[field % names.length] ?? "";
  const value: unknown = Reflect.get(message, name);
  if (typeof value === "string") Reflect.set(message, name, to.text(value));
  else if (typeof value === "number") Reflect.set(message, name, to.number);
  else if (Array.isArray(value)) Reflect.set(message, name, Array(to.count).fill(value[0]));
  else Reflect.set(message, name, to.time);
}

test("reads only what the rules of the proto accept", () => {
  const read = { good: 0, refused: 0 };
  fc.assert(
    fc.property(fc.array(change, { minLength: 0, maxLength: 2 }), (changes) => {
      const request = goodRequest();
      for (const each of changes) alter(request, each);
      try {
        parseBatchItem(request);
      } catch {
        read.refused += 1;
        return;
      }
      read.good += 1;
      validator.check(ClearRequestSchema, request);
    }),
    { numRuns: 2_000 },
  );
  expect(read.good).toBeGreaterThan(200);
  expect(read.refused).toBeGreaterThan(200);
});
