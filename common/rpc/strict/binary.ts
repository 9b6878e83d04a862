import { isUtf8 } from "node:buffer";
import { WireType } from "@bufbuild/protobuf/wire";
import { tooManyItems, Unreadable } from "./refusal.ts";
import type { FieldShape, MessageShape } from "./shape.ts";
import { isDurationValue, isTimestampValue } from "./times.ts";

/**
 * Goes through an encoded request, without decoding it, and throws Unreadable where a reader might see something else
 * in it than its writer meant, or than another reader: unknown fields, a field that is no list twice, two members of a
 * oneof, another wire type, a number that does not fit, a time that is none, bytes behind the end of a message.
 * protobuf-es takes all of these, most by the letter of the specification, and keeps the last or the lowest bits.
 */
export function checkBinary(shape: MessageShape, bytes: Uint8Array): void {
  new BinaryCheck(bytes).message(shape, bytes.byteLength);
}

/** The path to the first text that is no UTF-8: for the refusal of what has failed already. */
export function findBrokenText(shape: MessageShape, bytes: Uint8Array): string | undefined {
  try {
    new BinaryCheck(bytes, true).message(shape, bytes.byteLength);
    return undefined;
  } catch (error) {
    return error instanceof Unreadable ? error.path : undefined;
  }
}

class BinaryCheck {
  readonly #bytes: Uint8Array;
  readonly #texts: boolean;
  #at = 0;
  /** The low and the high 32 bits of the last number, both unsigned. */
  #low = 0;
  #high = 0;

  constructor(bytes: Uint8Array, texts = false) {
    this.#bytes = bytes;
    this.#texts = texts;
  }

  message(shape: MessageShape, end: number): void {
    let seen = 0;
    let [seconds, nanos] = [0, 0];
    let counts: Map<FieldShape, number> | undefined;
    while (this.#at < end) {
      const tag = this.#tag(end);
      const field = shape.byNumber[tag >>> 3];
      if (field === undefined) throw unknownField(shape, tag >>> 3);
      if (field.isList) {
        counts ??= new Map();
        counts.set(field, this.#list(field, tag & 7, counts.get(field) ?? 0, end));
        continue;
      }
      if ((tag & 7) !== field.wireType) throw wrongWireType(field.name);
      if ((seen & field.bit) !== 0) throw twice(field.name);
      if ((seen & field.oneofBit) !== 0) throw secondMember(field);
      seen |= field.bit | field.oneofBit;
      this.#value(field, end);
      if (shape.text === undefined) continue;
      if (field.kind === "int64") seconds = (this.#high | 0) * 2 ** 32 + this.#low;
      else nanos = this.#low | 0;
    }
    if (shape.text !== undefined) checkTime(shape.text, seconds, nanos);
  }

  /** Reads one element of a list, or several that are packed; returns how many there are now. */
  #list(field: FieldShape, wireType: number, count: number, end: number): number {
    if (wireType === field.wireType) {
      if (count >= field.itemsMax) throw tooManyItems(field.name, field.itemsMax);
      this.#value(field, end, count);
      return count + 1;
    }
    if (wireType !== WireType.LengthDelimited) throw wrongWireType(field.name);
    const packedEnd = this.#length(field, end);
    let total = count;
    while (this.#at < packedEnd) {
      if (total >= field.itemsMax) throw tooManyItems(field.name, field.itemsMax);
      this.#value(field, packedEnd, total);
      total += 1;
    }
    return total;
  }

  #value(field: FieldShape, end: number, index?: number): void {
    if (field.wireType === WireType.Varint) {
      this.#number(end);
      if (!this.#fits(field.kind))
        throw new Unreadable(stepOf(field, index), "decode", "the number does not fit");
      return;
    }
    const valueEnd = this.#length(field, end);
    if (field.message !== undefined) {
      try {
        this.message(field.message, valueEnd);
      } catch (error) {
        throw error instanceof Unreadable ? error.within(stepOf(field, index)) : error;
      }
      return;
    }
    if (this.#texts && !isUtf8(this.#bytes.subarray(this.#at, valueEnd)))
      throw new Unreadable(stepOf(field, index), "decode", "the text is no UTF-8");
    this.#at = valueEnd;
  }

  /** Reads a length and returns where what has it ends. */
  #length(field: FieldShape, end: number): number {
    this.#number(end);
    if (this.#high === 0 && this.#low <= end - this.#at) return this.#at + this.#low;
    throw new Unreadable(field.name, "decode", "it is longer than what it stands in");
  }

  #fits(kind: FieldShape["kind"]): boolean {
    switch (kind) {
      case "bool":
        return this.#high === 0 && this.#low <= 1;
      case "uint32":
        return this.#high === 0;
      case "int32":
      case "enum":
        // A negative one has ten bytes.
        return this.#high === 0
          ? this.#low < 2 ** 31
          : this.#high === 2 ** 32 - 1 && this.#low >= 2 ** 31;
      default:
        return true;
    }
  }

  #tag(end: number): number {
    this.#number(end);
    if (this.#high === 0) return this.#low;
    throw new Unreadable("", "decode", "a tag does not fit");
  }

  /** Reads a number of at most 64 bits into `#low` and `#high`. */
  #number(end: number): void {
    const bytes = this.#bytes;
    const first = this.#at < end ? (bytes[this.#at] ?? 0) : 0x80;
    if (first < 0x80) {
      this.#at += 1;
      this.#low = first;
      this.#high = 0;
      return;
    }
    this.#longNumber(end);
  }

  #longNumber(end: number): void {
    let [low, high] = [0, 0];
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.#at >= end) throw new Unreadable("", "decode", "it ends too early");
      const byte = this.#bytes[this.#at] ?? 0;
      this.#at += 1;
      if (shift < 28) low |= (byte & 0x7f) << shift;
      else if (shift === 28) {
        low |= (byte & 0x0f) << 28;
        high = (byte & 0x7f) >> 4;
      } else high |= (byte & 0x7f) << (shift - 32);
      if (byte >= 0x80) continue;
      if (shift === 63 && byte > 1) break;
      this.#low = low >>> 0;
      this.#high = high >>> 0;
      return;
    }
    throw new Unreadable("", "decode", "a number has more than 64 bits");
  }
}

function stepOf(field: FieldShape, index: number | undefined): string {
  return index === undefined ? field.name : `${field.name}[${index}]`;
}

function checkTime(text: "Timestamp" | "Duration", seconds: number, nanos: number): void {
  if (text === "Timestamp" ? isTimestampValue(seconds, nanos) : isDurationValue(seconds, nanos))
    return;
  throw text === "Timestamp"
    ? new Unreadable("", "timestamp.range", "no instant between the years 1 and 9999")
    : new Unreadable("", "duration.range", "no duration of at most 10,000 years");
}

function unknownField(shape: MessageShape, number: number): Unreadable {
  return new Unreadable(String(number), "field.unknown", `${shape.typeName} has no such field`);
}

function wrongWireType(step: string): Unreadable {
  return new Unreadable(step, "decode", "it has another wire type than its field");
}

function twice(step: string): Unreadable {
  return new Unreadable(step, "field.duplicate", "it is there twice");
}

function secondMember(field: FieldShape): Unreadable {
  return new Unreadable(
    field.name,
    "oneof.duplicate",
    `another member of ${field.oneofName} is there too`,
  );
}
