import {
  create,
  type DescField,
  type DescMessage,
  getOption,
  hasOption,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import fc from "fast-check";
import { field as fieldRules } from "#gen/buf/validate/validate_pb.ts";

/** Texts as fields hold them, and as nobody should send them. */
const anyText = fc.oneof(
  { weight: 3, arbitrary: fc.string({ maxLength: 40 }) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 20 }) },
  fc.constantFrom(
    "",
    "0",
    "1",
    "340282366920938463463374607431768211455",
    "0198c0de-0000-7000-8000-000000000001",
    "0x0000000000000000000000000000000000000000",
    "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    `0x${"0".repeat(64)}`,
    "MILK",
    "\u0000",
  ),
);

function bigIntBetween(min: bigint, max: bigint) {
  return fc.oneof(fc.bigInt({ min, max }), fc.constantFrom(0n, min, max));
}

const int32 = fc.oneof(
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  fc.constantFrom(0, 1, 2, 100, 1_001),
);
const uint32 = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  fc.constantFrom(0, 1, 2, 3, 100, 1_001),
);

const scalars = new Map<ScalarType, fc.Arbitrary<unknown>>([
  [ScalarType.STRING, anyText.filter((text) => text.isWellFormed())],
  [ScalarType.BOOL, fc.boolean()],
  [ScalarType.INT32, int32],
  [ScalarType.UINT32, uint32],
  [ScalarType.INT64, bigIntBetween(-(2n ** 63n), 2n ** 63n - 1n)],
  [ScalarType.UINT64, bigIntBetween(0n, 2n ** 64n - 1n)],
]);

const seconds = bigIntBetween(-62_135_596_800n, 253_402_300_799n);
const nanos = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 999_999_999 }));

/** How the fields of a message are filled. */
interface Filling {
  /** One in so many fields is not set. */
  readonly setOf: number;
  value(field: DescField): fc.Arbitrary<unknown>;
}

/** Messages of a type whose every field is set or not, and holds anything that its kind can. Times are times. */
export function arbitraryMessage(schema: DescMessage): fc.Arbitrary<Message> {
  return filledMessage(schema, { setOf: 3, value: arbitraryScalar });
}

/** Messages most of whose fields keep their own rules of the proto, so that they come further than a validator. */
export function plausibleMessage(schema: DescMessage): fc.Arbitrary<Message> {
  return filledMessage(schema, { setOf: 8, value: plausibleScalar });
}

function filledMessage(schema: DescMessage, filling: Filling): fc.Arbitrary<Message> {
  if (schema.typeName === "google.protobuf.Timestamp")
    return fc.record({ seconds, nanos }).map((time) => create(schema, time));
  if (schema.typeName === "google.protobuf.Duration")
    return fc
      .integer({ min: 0, max: 1_000_000 })
      .map((whole) => create(schema, { seconds: BigInt(whole) }));
  const fields = schema.fields.map((field) =>
    fc
      .option(fieldValue(field, filling), { nil: undefined, freq: filling.setOf })
      .map((value) => ({ field, value })),
  );
  return fc.tuple(...fields).map((values) => {
    const init: Record<string, unknown> = {};
    for (const { field, value } of values) {
      if (value === undefined) continue;
      if (field.oneof === undefined) init[field.localName] = value;
      else init[field.oneof.localName] = { case: field.localName, value };
    }
    return create(schema, init as never);
  });
}

function fieldValue(field: DescField, filling: Filling): fc.Arbitrary<unknown> {
  if (field.fieldKind === "list") return fc.array(singleValue(field, filling), { maxLength: 3 });
  return singleValue(field, filling);
}

function singleValue(field: DescField, filling: Filling): fc.Arbitrary<unknown> {
  return field.message === undefined ? filling.value(field) : filledMessage(field.message, filling);
}

function arbitraryScalar(field: DescField): fc.Arbitrary<unknown> {
  if (field.enum !== undefined) {
    const known = field.enum.values.map(({ number }) => number);
    return fc.oneof(fc.constantFrom(...known), fc.constantFrom(77, -1));
  }
  const arbitrary = field.scalar === undefined ? undefined : scalars.get(field.scalar);
  if (arbitrary === undefined) throw new Error(`nothing makes values of ${field}`);
  return arbitrary;
}

function plausibleScalar(field: DescField): fc.Arbitrary<unknown> {
  const any = arbitraryScalar(field);
  const fitting = fittingScalar(field);
  if (fitting === undefined) return any;
  return fc.oneof({ weight: 15, arbitrary: fitting }, { weight: 1, arbitrary: any });
}

/** What keeps a field's own rule; undefined for fields without one that is known here. */
function fittingScalar(field: DescField): fc.Arbitrary<unknown> | undefined {
  if (field.enum !== undefined)
    return fc.constantFrom(
      ...field.enum.values.map(({ number }) => number).filter((each) => each > 0),
    );
  if (field.scalar === ScalarType.UINT32 || field.scalar === ScalarType.INT32)
    return fc.constantFrom(1, 2, 3, 5, 100);
  if (!hasOption(field, fieldRules)) return undefined;
  const { type } = getOption(field, fieldRules);
  const rules = type.case === "repeated" ? type.value.items?.type : type;
  if (rules?.case !== "string" || rules.value.pattern === "") return undefined;
  // An address in mixed case is nearly never in the right one.
  return fc
    .stringMatching(new RegExp(rules.value.pattern, "u"))
    .map((text) => (/^0x[0-9a-f]{40}$/i.test(text) ? text.toLowerCase() : text));
}
