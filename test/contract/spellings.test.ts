// Goal: one intent has one spelling that counts: whatever is accepted in its place means the same and has the same digest,
// and whatever has the same digest is the same. Method: intents at random, written in the ways that are allowed, and
// written wrongly; both ways of reading them, down to the domain and the digest.
import {
  type DescField,
  type DescMessage,
  getOption,
  hasOption,
  ScalarType,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { contracts } from "#common/contracts.ts";
import { DomainError } from "#common/domain-error.ts";
import { formatIntent, parseIntent } from "#common/intent/codec.ts";
import type { Intent } from "#common/intent/intent.ts";
import { checkShape } from "#common/intent/rules.ts";
import { readBinary, readJson } from "#common/rpc/strict/read-request.ts";
import { createRequestValidator } from "#common/rpc/strict/validate.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { type FieldRules, field as fieldRules } from "#gen/buf/validate/validate_pb.ts";
import { type ClearingIntent, ClearingIntentSchema } from "#gen/sovr/attestor/v1/intent_pb.ts";
import { digestIntent, intentOf, posting, testKey } from "../support/intents/intents.ts";

const printable = fc.string({
  unit: fc.constantFrom(...`aZ09 ~-_"\\/`),
  maxLength: 12,
});
const amount = fc.bigInt({ min: 1n, max: 2n ** 128n - 1n });

const intents: fc.Arbitrary<Intent> = fc
  .record({
    key: fc.integer({ min: 1, max: 1_000 }),
    phase: fc.constantFrom("IMMEDIATE", "PENDING", "POST_PENDING", "VOID_PENDING"),
    merchantId: printable,
    reference: printable,
    amounts: fc.array(amount, { minLength: 1, maxLength: 3 }),
    corrects: fc.option(fc.constantFrom(`0x${"ab".repeat(32)}`, `0x${"0".repeat(63)}1`), {
      nil: "",
    }),
    timeoutSeconds: fc.integer({ min: 0, max: 31_536_000 }),
    issueTime: fc.bigInt({ min: 0n, max: 253_402_200_000n }),
  } as const)
  .map(({ key, amounts, phase, timeoutSeconds, issueTime, ...fields }) => {
    const resolves = phase === "POST_PENDING" || phase === "VOID_PENDING";
    return intentOf({
      ...fields,
      phase,
      wallet: testKey(key).address,
      postings: amounts.map((each) => posting({ amount: each })),
      pendingIntentId: resolves ? newUuidV7(1) : "",
      timeoutSeconds: phase === "PENDING" ? timeoutSeconds : 0,
      issueTime,
      expireTime: issueTime + 60n,
    });
  });

const validator = createRequestValidator();

/** The intent that is read, or undefined where it is refused as INVALID_FIELD. Anything else is a fault. */
function accepted(read: () => ClearingIntent): Intent | undefined {
  try {
    const proto = read();
    validator.check(ClearingIntentSchema, proto);
    const intent = parseIntent(proto);
    checkShape(intent);
    return intent;
  } catch (error) {
    if (error instanceof DomainError && error.kind === "INVALID_FIELD") return undefined;
    throw error;
  }
}

const fromText = (text: string) => accepted(() => readJson(ClearingIntentSchema, text));
const fromBytes = (bytes: Uint8Array) => accepted(() => readBinary(ClearingIntentSchema, bytes));

/** Two intents are one exactly if their digests are. */
function expectOneMeaning(one: Intent, other: Intent): void {
  expect(digestIntent(other) === digestIntent(one)).toBe(
    JSON.stringify(other, plain) === JSON.stringify(one, plain),
  );
}

const plain = (_key: string, value: unknown) => (typeof value === "bigint" ? `${value}n` : value);

test("every way of writing an intent that is taken is the same intent", () => {
  const style = fc.record({
    names: fc.boolean(),
    reverse: fc.boolean(),
    indent: fc.nat(2),
    wallet: fc.constantFrom("as it is", "lower", "upper"),
    offset: fc.constantFrom("Z", "+00:00", "-00:00", ".000Z"),
    quoted: fc.boolean(),
  });
  fc.assert(
    fc.property(intents, style, (intent, { names, reverse, indent, wallet, offset, quoted }) => {
      const json = toJson(ClearingIntentSchema, formatIntent(intent), { useProtoFieldName: names });
      const digits = intent.wallet.slice(2);
      const rewritten = Object.entries(json as Record<string, unknown>).map(([key, value]) => {
        if (key === "wallet" && wallet !== "as it is")
          return [key, `0x${wallet === "lower" ? digits.toLowerCase() : digits.toUpperCase()}`];
        if (/time$/i.test(key)) return [key, String(value).replace(/Z$/, offset)];
        if (/^timeout/.test(key) && quoted) return [key, String(value)];
        return [key, value];
      });
      const entries = reverse ? rewritten.toReversed() : rewritten;
      const read = fromText(JSON.stringify(Object.fromEntries(entries), undefined, indent));
      expect(read).toEqual(intent);
      expect(read && digestIntent(read)).toBe(digestIntent(intent));
      expect(fromBytes(toBinary(ClearingIntentSchema, formatIntent(intent)))).toEqual(intent);
    }),
  );
});

test("an intent whose JSON is changed anywhere is refused, or is the intent that its digest says", () => {
  const characters = fc.constantFrom(...'0123456789abcdefABCDEFxX-+.eEtTzZ:,"{}[]\\ \u0000é\ufeff');
  const change = fc.record({ at: fc.nat(), by: characters, takes: fc.nat(1) });
  fc.assert(
    fc.property(intents, fc.array(change, { minLength: 1, maxLength: 2 }), (intent, changes) => {
      let text = JSON.stringify(toJson(ClearingIntentSchema, formatIntent(intent)));
      for (const { at, by, takes } of changes) {
        const place = at % text.length;
        text = text.slice(0, place) + by + text.slice(place + takes);
      }
      const read = fromText(text);
      if (read !== undefined) expectOneMeaning(intent, read);
    }),
    { numRuns: 1_000 },
  );
});

test("an intent whose bytes are changed anywhere is refused, or is the intent that its digest says", () => {
  const change = fc.record({ at: fc.nat(), by: fc.nat(255), takes: fc.nat(1), puts: fc.nat(1) });
  fc.assert(
    fc.property(intents, fc.array(change, { minLength: 1, maxLength: 2 }), (intent, changes) => {
      let bytes = toBinary(ClearingIntentSchema, formatIntent(intent));
      for (const { at, by, takes, puts } of changes) {
        const place = at % bytes.length;
        const middle = puts === 1 ? [by] : [];
        bytes = Uint8Array.from([
          ...bytes.subarray(0, place),
          ...middle,
          ...bytes.subarray(place + takes),
        ]);
      }
      const read = fromBytes(bytes);
      if (read !== undefined) expectOneMeaning(intent, read);
    }),
    { numRuns: 1_000 },
  );
});

/** The fields of every request, with those of the messages in them. */
function fieldsOfRequests(): readonly DescField[] {
  const seen = new Set<DescMessage>();
  const collect = (schema: DescMessage): DescField[] => {
    if (seen.has(schema)) return [];
    seen.add(schema);
    return schema.fields.flatMap((each) => [each, ...(each.message ? collect(each.message) : [])]);
  };
  return contracts.flatMap(({ methods }) => methods.flatMap(({ input }) => collect(input)));
}

function rulesOf(each: DescField): FieldRules["type"] | undefined {
  if (!hasOption(each, fieldRules)) return undefined;
  const { type } = getOption(each, fieldRules);
  return type.case === "repeated" ? type.value.items?.type : type;
}

test("no text of a request may hold a NUL, a line break, or what is not ASCII and has several forms", () => {
  const texts = fieldsOfRequests().filter(({ scalar }) => scalar === ScalarType.STRING);
  expect(texts.length).toBeGreaterThan(40);
  const loose = texts.filter((each) => {
    const rules = rulesOf(each);
    if (rules?.case !== "string" || rules.value.pattern === "") return true;
    const pattern = new RegExp(rules.value.pattern, "u");
    return ["\u0000", "\n", "\u00e9", "e\u0301"].some((text) => pattern.test(text));
  });
  // Sealed by us, and compared with what they decode to.
  expect(
    loose.map(({ name }) => name).filter((name) => !/^(page_token|cursor)$/.test(name)),
  ).toEqual([]);
});

test("no enum of a request may be a number that nobody defined", () => {
  const enums = fieldsOfRequests().filter((each) => each.enum !== undefined);
  expect(enums.length).toBeGreaterThan(4);
  const open = enums.filter((each) => {
    const rules = rulesOf(each);
    return rules?.case !== "enum" || !rules.value.definedOnly;
  });
  expect(open.map(String)).toEqual([]);
});
