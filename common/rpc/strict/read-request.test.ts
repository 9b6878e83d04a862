import {
  create,
  type DescMessage,
  equals,
  fromBinary,
  type Message,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { contracts } from "#common/contracts.ts";
import { DomainError } from "#common/domain-error.ts";
import {
  GetCheckoutRequestSchema,
  ListCheckoutsRequestSchema,
} from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { ClearRequestSchema } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { SubscribeRequestSchema } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import {
  GetStatementRequestSchema,
  ListAccountsRequestSchema,
} from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { arbitraryMessage } from "../../../test/support/rpc/arbitrary-message.ts";
import { readBinary, readJson } from "./read-request.ts";

const requests = contracts.flatMap(({ methods }) => methods.map(({ input }) => input));
const named = requests.map((schema) => [schema.name, schema] as const);

/** What reading gives, or the field and the rule of the refusal. */
function reading(read: () => Message): Message | readonly [string, string] {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DomainError) || error.kind !== "INVALID_FIELD") throw error;
    const { field = "", rule = "" } = error.metadata;
    expect(error.violations).toMatchObject([{ field, rule }]);
    return [field, rule];
  }
}

const readingJson = (schema: DescMessage, text: string) => reading(() => readJson(schema, text));
const readingBytes = (schema: DescMessage, bytes: Uint8Array) =>
  reading(() => readBinary(schema, bytes));

interface Change {
  readonly kind: number;
  readonly at: number;
  readonly byte: number;
  readonly length: number;
}

/** Bytes of which one is changed, taken away or put in, or a piece is there twice. */
function changed(bytes: Uint8Array, { kind, at, byte, length }: Change): Uint8Array {
  const place = bytes.length === 0 ? 0 : at % bytes.length;
  const [before, after] = [bytes.subarray(0, place), bytes.subarray(place)];
  const middle = [
    [byte, ...after.subarray(1)],
    [...after.subarray(1)],
    [byte, ...after],
    [...after.subarray(0, length), ...after],
  ];
  return Uint8Array.from([...before, ...(middle[kind] ?? [])]);
}

const change = fc.record({
  kind: fc.nat(3),
  at: fc.nat(),
  byte: fc.nat(255),
  length: fc.nat(24),
});

/** The same message with its fields in the opposite order, at every depth; the items of a list keep theirs. */
function reversed(schema: DescMessage, bytes: Uint8Array): Uint8Array {
  const byNumber = new Map<number, Uint8Array[]>();
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const nested = schema.fields.find((field) => field.number === number)?.message;
    const writer = new BinaryWriter().tag(number, wireType);
    if (nested === undefined) writer.raw(reader.skip(wireType, number));
    else writer.bytes(reversed(nested, reader.bytes()));
    byNumber.set(number, [...(byNumber.get(number) ?? []), writer.finish()]);
  }
  return Uint8Array.from(Buffer.concat([...byNumber.values()].toReversed().flat()));
}

describe.each(named)("%s", (_name, schema) => {
  it("is read from binary and from JSON, with either names, as it was written", () => {
    fc.assert(
      fc.property(arbitraryMessage(schema), fc.boolean(), (message, useProtoFieldName) => {
        const fromBytes = readBinary(schema, toBinary(schema, message));
        const fromText = readJson(schema, toJsonString(schema, message, { useProtoFieldName }));
        expect(equals(schema, fromBytes, message)).toBe(true);
        expect(equals(schema, fromText, message)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it("is refused when its bytes are changed, or says the same whichever of its fields is read first", () => {
    const changes = fc.array(change, { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(arbitraryMessage(schema), changes, (message, all) => {
        const bytes = all.reduce(changed, toBinary(schema, message));
        const read = readingBytes(schema, bytes);
        if (!("$typeName" in read)) return;
        expect(equals(schema, readBinary(schema, reversed(schema, bytes)), read)).toBe(true);
        expect(equals(schema, readBinary(schema, toBinary(schema, read)), read)).toBe(true);
        const text = toJsonString(schema, read);
        expect(equals(schema, readJson(schema, text), read)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});

const request = create(ClearRequestSchema, {
  intent: {
    intentId: "0198c0de-0000-7000-8000-000000000001",
    postings: [
      { amount: "1", ledger: 1 },
      { amount: "2", ledger: 1 },
    ],
    issueTime: { seconds: 1n },
  },
  validateOnly: true,
});
const bytes = toBinary(ClearRequestSchema, request);

/** An encoded field. */
function field(number: number, wireType: WireType, ...data: readonly number[]): Uint8Array {
  return new BinaryWriter().tag(number, wireType).raw(Uint8Array.from(data)).finish();
}

function nested(number: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return new BinaryWriter()
    .tag(number, WireType.LengthDelimited)
    .bytes(Buffer.concat(parts))
    .finish();
}

const { Varint, LengthDelimited, Bit32, Bit64, StartGroup, EndGroup } = WireType;
const posting = (...parts: readonly Uint8Array[]) => nested(1, nested(6), nested(6, ...parts));

describe("readBinary", () => {
  it.each([
    ["a field that is unknown", field(99, Varint, 1), "99", "field.unknown"],
    ["one whose number is large", field(536_870_911, Varint, 1), "536870911", "field.unknown"],
    [
      "one that is a group",
      [...field(99, StartGroup), ...field(99, EndGroup)],
      "99",
      "field.unknown",
    ],
    [
      "an unknown field of a posting",
      posting(field(9, Bit32, 1, 2, 3, 4)),
      "intent.postings[1].9",
      "field.unknown",
    ],
    [
      "an unknown field of a time",
      nested(1, nested(10, field(3, Bit64, 1, 2, 3, 4, 5, 6, 7, 8))),
      "intent.issue_time.3",
      "field.unknown",
    ],
    [
      "a switch twice",
      [...field(3, Varint, 1), ...field(3, Varint, 0)],
      "validate_only",
      "field.duplicate",
    ],
    [
      "an intent twice, which others merge",
      [...nested(1), ...nested(1)],
      "intent",
      "field.duplicate",
    ],
    [
      "an amount twice",
      posting(nested(3, Buffer.from("1")), nested(3, Buffer.from("2"))),
      "intent.postings[1].amount",
      "field.duplicate",
    ],
    ["a text as a number", nested(1, field(1, Varint, 1)), "intent.intent_id", "decode"],
    [
      "a number as a text",
      posting(nested(4, Uint8Array.of(1))),
      "intent.postings[1].ledger",
      "decode",
    ],
    [
      "a number of 33 bits, which others cut",
      posting(field(4, Varint, 0x81, 0x80, 0x80, 0x80, 0x10)),
      "intent.postings[1].ledger",
      "decode",
    ],
    [
      "a number of 65 bits",
      posting(field(4, Varint, ...Array(9).fill(0x80), 0x02)),
      "intent.postings[1]",
      "decode",
    ],
    ["a switch that is neither off nor on", field(3, Varint, 2), "validate_only", "decode"],
    [
      "a phase of 33 bits",
      nested(1, field(2, Varint, 0x81, 0x80, 0x80, 0x80, 0x10)),
      "intent.phase",
      "decode",
    ],
    [
      "a message that is longer than what it stands in",
      nested(1, field(6, LengthDelimited, 5, 0)),
      "intent.postings",
      "decode",
    ],
    [
      "a text that is longer than what it stands in",
      [...nested(1, field(1, LengthDelimited, 3)), ...field(3, Varint, 1)],
      "intent.intent_id",
      "decode",
    ],
    ["half a number", field(3, Varint, 0x80), "", "decode"],
    ["half a tag", [0xff], "", "decode"],
    [
      "a text that is no UTF-8",
      posting(nested(3, Uint8Array.of(0x31, 0xff))),
      "intent.postings[1].amount",
      "decode",
    ],
    [
      "nanoseconds of more than a second",
      nested(1, nested(11, field(2, Varint, 0x80, 0x94, 0xeb, 0xdc, 0x03))),
      "intent.expire_time",
      "timestamp.range",
    ],
    [
      "negative nanoseconds",
      nested(1, nested(11, field(2, Varint, ...Array(9).fill(0xff), 0x01))),
      "intent.expire_time",
      "timestamp.range",
    ],
    [
      "an instant after the year 9999",
      nested(1, nested(11, field(1, Varint, ...Array(8).fill(0xff), 0x7f))),
      "intent.expire_time",
      "timestamp.range",
    ],
    [
      "an instant before the year 1",
      nested(1, nested(11, field(1, Varint, ...Array(8).fill(0x80), 0x80, 0x01))),
      "intent.expire_time",
      "timestamp.range",
    ],
  ])("refuses %s, and says where", (_what, encoded, path, rule) => {
    expect(readingBytes(ClearRequestSchema, Uint8Array.from(encoded))).toEqual([path, rule]);
  });

  it("refuses two members of a oneof", () => {
    const both = Buffer.concat([nested(1, Buffer.from("c")), field(2, Varint, 1)]);
    expect(fromBinary(SubscribeRequestSchema, both).start.case).toBe("earliest");
    expect(readingBytes(SubscribeRequestSchema, both)).toEqual(["earliest", "oneof.duplicate"]);
  });

  it("refuses a duration whose parts have two signs", () => {
    const { number } = SubscribeRequestSchema.field.heartbeatInterval;
    const minus = field(2, Varint, ...Array(9).fill(0xff), 0x01);
    const duration = nested(number, field(1, Varint, 1), minus);
    expect(readingBytes(SubscribeRequestSchema, duration)).toEqual([
      "heartbeat_interval",
      "duration.range",
    ]);
  });

  it("takes numbers in lists one by one and packed, and fields in any order", () => {
    const { number } = SubscribeRequestSchema.field.filter;
    const codes = SubscribeRequestSchema.field.filter.message?.fields.find(
      ({ name }) => name === "codes",
    );
    if (codes === undefined) throw new Error("the filter has no codes");
    const parts = [field(codes.number, Varint, 7), nested(codes.number, Uint8Array.of(8, 9))];
    const read = readBinary(SubscribeRequestSchema, nested(number, ...parts));
    expect(read.filter?.codes).toEqual([7, 8, 9]);
    expect(readBinary(ClearRequestSchema, reversed(ClearRequestSchema, bytes))).toEqual(
      fromBinary(ClearRequestSchema, bytes),
    );
  });
});

/** The JSON of a Clear with something in its intent. */
const inIntent = (text: string) => `{"intent": {${text}}}`;
const inPosting = (text: string) => inIntent(`"postings": [{}, {${text}}]`);

describe("a list with more items than its rule allows", () => {
  const tooMany = [{ many: 65 }, { many: 500_000 }];
  const refusal = ["intent.postings", "repeated.max_items"];

  it.each(tooMany)("is refused before any of $many is made", ({ many }) => {
    const whole = nested(1, Buffer.concat(Array(many).fill(nested(6))));
    expect(readingBytes(ClearRequestSchema, whole)).toEqual(refusal);
    const text = `{"intent":{"postings":[${"{},".repeat(many - 1)}{}]}}`;
    expect(readingJson(ClearRequestSchema, text)).toEqual(refusal);
  });

  it("is not if it has as many, and whatever each of them lacks", () => {
    const items = Array.from({ length: 64 }, () => nested(6));
    expect(readBinary(ClearRequestSchema, nested(1, ...items)).intent?.postings).toHaveLength(64);
    const text = `{"intent":{"postings":[${"{},".repeat(63)}{}]}}`;
    expect(readJson(ClearRequestSchema, text).intent?.postings).toHaveLength(64);
  });
});

describe("readJson", () => {
  it.each([
    ["a key in the wrong case", `{"validateonly": true}`, "validateonly", "field.unknown"],
    ["a key of a prototype", `{"__proto__": {"validateOnly": true}}`, "__proto__", "field.unknown"],
    ["a key of every object", inIntent(`"toString": 1`), "intent.toString", "field.unknown"],
    [
      "an unknown key of a posting",
      inPosting(`"Amount": "1"`),
      "intent.postings[1].Amount",
      "field.unknown",
    ],
    [
      "a key twice",
      `{"validateOnly": true, "validateOnly": false}`,
      "validate_only",
      "field.duplicate",
    ],
    [
      "a key by both names",
      `{"validateOnly": true, "validate_only": false}`,
      "validate_only",
      "field.duplicate",
    ],
    [
      "a key twice, once with an escape",
      `{"validateOnly": true, "validate\\u004fnly": false}`,
      "validate_only",
      "field.duplicate",
    ],
    ["a key twice, once with null", `{"intent": null, "intent": {}}`, "intent", "field.duplicate"],
    [
      "a list twice",
      inIntent(`"postings": [], "postings": []`),
      "intent.postings",
      "field.duplicate",
    ],
    [
      "an amount twice",
      inPosting(`"amount": "1", "amount": "2"`),
      "intent.postings[1].amount",
      "field.duplicate",
    ],
    ["an exponent", inPosting(`"ledger": 1e0`), "intent.postings[1].ledger", "decode"],
    ["an exponent in a text", inPosting(`"ledger": "1e0"`), "intent.postings[1].ledger", "decode"],
    ["a point", inPosting(`"ledger": 1.0`), "intent.postings[1].ledger", "decode"],
    [
      "a leading zero in a text",
      inPosting(`"ledger": "01"`),
      "intent.postings[1].ledger",
      "decode",
    ],
    [
      "a hexadecimal number in a text",
      inPosting(`"ledger": "0x1"`),
      "intent.postings[1].ledger",
      "decode",
    ],
    ["a plus", inPosting(`"ledger": "+1"`), "intent.postings[1].ledger", "decode"],
    ["a negative zero", inPosting(`"ledger": -0`), "intent.postings[1].ledger", "decode"],
    [
      "a number of 33 bits",
      inPosting(`"ledger": 4294967297`),
      "intent.postings[1].ledger",
      "decode",
    ],
    [
      "a number where a text belongs",
      inPosting(`"amount": 350`),
      "intent.postings[1].amount",
      "decode",
    ],
    ["a switch in words", `{"validateOnly": "true"}`, "validate_only", "decode"],
    [
      "an enum's name in the wrong case",
      inIntent(`"phase": "phase_immediate"`),
      "intent.phase",
      "decode",
    ],
    ["an enum's number in a text", inIntent(`"phase": "1"`), "intent.phase", "decode"],
    ["an object where a list belongs", inIntent(`"postings": {}`), "intent.postings", "decode"],
    ["a list where an object belongs", `{"intent": []}`, "intent", "decode"],
    ["nothing in a list", inIntent(`"postings": [null]`), "intent.postings[0]", "decode"],
    [
      "half of a surrogate pair",
      inIntent(`"reference": "a\\ud800"`),
      "intent.reference",
      "string.unicode",
    ],
    ["half a text", `{"intent`, "", "decode"],
    ["nothing", ``, "", "decode"],
    ["no object", `null`, "", "decode"],
    ["a mark before the text", `\ufeff{}`, "", "decode"],
  ])("refuses %s, and says where", (_what, text, path, rule) => {
    expect(readingJson(ClearRequestSchema, text)).toEqual([path, rule]);
  });

  it.each([
    "2026-02-30T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-00-10T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-01-00T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "2026-11-30T24:00:00Z",
    "2026-11-30T23:60:00Z",
    "2026-11-30T23:59:60Z",
    "2016-12-31T23:59:60Z",
    "2026-11-30t23:59:59Z",
    "2026-11-30T23:59:59z",
    "2026-11-30 23:59:59Z",
    "2026-11-30T23:59:59",
    "2026-11-30T23:59Z",
    "2026-11-30",
    "2026-11-30T23:59:59.Z",
    "2026-11-30T23:59:59.0000000001Z",
    "2026-11-30T23:59:59+24:00",
    "2026-11-30T23:59:59+01:60",
    "2026-11-30T23:59:59+0100",
    "2026-11-30T23:59:59Z ",
    "+002026-11-30T23:59:59Z",
    "2026-1-1T00:00:00Z",
    "",
  ])("refuses %j as an instant", (text) => {
    const json = JSON.stringify({ accountId: "1", toTime: text });
    expect(readingJson(GetStatementRequestSchema, json)).toEqual(["to_time", "timestamp.format"]);
  });

  it.each([
    ["2024-02-29T23:59:59Z", 1_709_251_199n, 0],
    ["2000-02-29T00:00:00.000000001Z", 951_782_400n, 1],
    ["2026-11-30T01:00:00+01:00", 1_795_996_800n, 0],
    ["2026-11-29T18:30:00.5-05:30", 1_795_996_800n, 500_000_000],
    ["0001-01-01T00:00:00Z", -62_135_596_800n, 0],
    ["9999-12-31T23:59:59.999999999Z", 253_402_300_799n, 999_999_999],
  ])("takes %j as an instant", (text, seconds, nanos) => {
    const read = readJson(GetStatementRequestSchema, JSON.stringify({ toTime: text }));
    expect(read.toTime).toMatchObject({ seconds, nanos });
  });

  it.each(["10", "10 s", "10sec", "1e1s", "01s", "+1s", "0.0000000001s", "-s", "s"])(
    "refuses %j as a duration",
    (text) => {
      const json = JSON.stringify({ heartbeatInterval: text });
      expect(readingJson(SubscribeRequestSchema, json)).toEqual([
        "heartbeat_interval",
        "duration.format",
      ]);
    },
  );

  it("refuses two members of a oneof, and takes null in place of a text for none", () => {
    const key = `"intentId": "0198c0de-0000-7000-8000-000000000001"`;
    expect(readingJson(GetCheckoutRequestSchema, `{${key}, "order": {}}`)).toEqual([
      "order",
      "oneof.duplicate",
    ]);
    expect(readJson(GetCheckoutRequestSchema, `{"order": {}, "intentId": null}`).key.case).toBe(
      "order",
    );
    expect(readingJson(GetCheckoutRequestSchema, `{${key}, "order": null}`)).toEqual([
      "order",
      "oneof.duplicate",
    ]);
    expect(readingJson(SubscribeRequestSchema, `{"cursor": "", "earliest": false}`)).toEqual([
      "earliest",
      "oneof.duplicate",
    ]);
  });

  it("takes a number as a text, an enum by number, null for nothing, and white space", () => {
    const text = ` {\n"pageSize" :\t"100",\r\n"filter": { "type": 1 , "code": null } , "pageToken":null}\n`;
    expect(readJson(ListAccountsRequestSchema, text)).toMatchObject({
      pageSize: 100,
      filter: { type: 1, code: 0 },
      pageToken: "",
    });
    expect(readJson(ListCheckoutsRequestSchema, `{"pageSize": -1}`).pageSize).toBe(-1);
  });

  it("reads texts to their end, whatever is escaped in them", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.boolean(), (reference, escapeAll) => {
        const units = Array.from({ length: reference.length }, (_, at) => reference.charCodeAt(at));
        const escaped = units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
        const json = escapeAll ? `"${escaped}"` : JSON.stringify(reference);
        const read = readJson(
          ClearRequestSchema,
          `{"intent":{"reference":${json},"timeoutSeconds":7}}`,
        );
        expect(read.intent).toMatchObject({ reference, timeoutSeconds: 7 });
      }),
    );
  });

  it("refuses a key that is put in anywhere, and a key that is doubled, under its path", () => {
    const places = fc.constantFrom("", "intent", "intent.postings[0]", "intent.postings[1]");
    const keys = fc.string({ maxLength: 12 }).filter((key) => !key.includes("\\"));
    fc.assert(
      fc.property(places, keys, fc.boolean(), (place, key, double) => {
        const json = JSON.parse(toJsonString(ClearRequestSchema, request));
        const target = place
          .split(/[.[\]]+/)
          .reduce((at, step) => (step === "" ? at : at[step]), json);
        const name = double ? (Object.keys(target).at(-1) ?? "") : key;
        fc.pre(double || !(key in target) || key === "__proto__");
        const marked = JSON.stringify(json).replace(JSON.stringify(target), () =>
          JSON.stringify(target).replace(/\}$/, () => `,${JSON.stringify(name)}:null}`),
        );
        const refused = readingJson(ClearRequestSchema, marked);
        expect(refused).toHaveLength(2);
        expect(refused).toEqual([
          expect.stringContaining(place),
          double ? "field.duplicate" : "field.unknown",
        ]);
      }),
    );
  });
});
