import { tooManyItems, Unreadable } from "./refusal.ts";
import type { FieldShape, MessageShape } from "./shape.ts";
import { isDurationText, isTimestampText } from "./times.ts";

/**
 * Goes through the JSON of a request and throws Unreadable where a reader might see something else in it than its
 * writer meant, or than another reader: keys that no field has, a field twice (also by both of its names), two members
 * of a oneof, a value of another kind, whole numbers with a point or an exponent, times that are none, halves of
 * surrogate pairs. JSON.parse keeps the last of two keys, and rounds; so this reads the text itself.
 *
 * `text` is JSON: JSON.parse has taken it.
 */
export function checkJson(shape: MessageShape, text: string): void {
  new JsonCheck(text).message(shape);
}

const space = /[ \t\n\r]*/y;
const literal = /[-+.\w]+/y;
const wholeNumber = /^(?:0|-?[1-9]\d*)$/;

class JsonCheck {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  message(shape: MessageShape): void {
    if (shape.text !== undefined) {
      this.#time(shape.text);
      return;
    }
    let seen = 0;
    const lists = new Set<FieldShape>();
    for (const key of this.#keys()) {
      const field = shape.byKey.get(key);
      if (field === undefined)
        throw new Unreadable(
          key.toWellFormed(),
          "field.unknown",
          `${shape.typeName} has no such field`,
        );
      if ((seen & field.bit) !== 0 || lists.has(field))
        throw new Unreadable(field.name, "field.duplicate", "it is there twice");
      seen |= field.bit;
      if (field.isList) lists.add(field);
      const isNull = this.#isNull();
      // To JSON, null is the same as nothing, though protobuf-es counts a message of a oneof that is null.
      if (isNull && (field.oneofBit === 0 || field.message === undefined)) continue;
      if ((seen & field.oneofBit) !== 0)
        throw new Unreadable(
          field.name,
          "oneof.duplicate",
          `another member of ${field.oneofName} is there too`,
        );
      seen |= field.oneofBit;
      if (isNull) continue;
      if (field.isList) this.#list(field);
      else this.#value(field, field.name);
    }
  }

  #list(field: FieldShape): void {
    if (this.#peek() !== "[") throw wrongKind(field.name, "a list");
    for (const index of this.#items()) {
      if (index >= field.itemsMax) throw tooManyItems(field.name, field.itemsMax);
      this.#value(field, `${field.name}[${index}]`);
    }
  }

  #value(field: FieldShape, step: string): void {
    if (field.message !== undefined) {
      try {
        this.message(field.message);
        return;
      } catch (error) {
        throw error instanceof Unreadable ? error.within(step) : error;
      }
    }
    const isText = this.#peek() === '"';
    const value = isText ? this.#string(step) : this.#literal();
    switch (field.kind) {
      case "string":
        if (!isText) throw wrongKind(step, "a text");
        return;
      case "bool":
        if (isText || (value !== "true" && value !== "false"))
          throw wrongKind(step, "true or false");
        return;
      case "enum":
        if (isText ? !field.enumNames.has(value) : !isInt32(value))
          throw wrongKind(step, "the name of a value, or its number");
        return;
      default:
        if (!wholeNumber.test(value))
          throw wrongKind(step, "a whole number, without point, exponent and leading zeros");
        // A number that JSON.parse rounds may be written as a text alone.
        if (!(isText || Number.isSafeInteger(Number(value))) || !fits(field.kind, BigInt(value)))
          throw wrongKind(step, `a number in the range of ${field.kind}`);
    }
  }

  #time(kind: "Timestamp" | "Duration"): void {
    const text = this.#peek() === '"' ? this.#string("") : this.#literal();
    if (kind === "Timestamp" ? isTimestampText(text) : isDurationText(text)) return;
    throw kind === "Timestamp"
      ? new Unreadable(
          "",
          "timestamp.format",
          "no instant in RFC 3339, such as 2026-11-30T12:00:00Z",
        )
      : new Unreadable("", "duration.format", "no duration such as 10s");
  }

  /** Steps through an object: its keys; behind each, the caller reads the value. */
  *#keys(): Generator<string> {
    if (this.#peek() !== "{") throw wrongKind("", "an object");
    this.#at += 1;
    while (this.#peek() !== "}") {
      if (this.#peek() === ",") this.#at += 1;
      this.#peek();
      const key = this.#string("", false);
      this.#peek(); // The colon.
      this.#at += 1;
      yield key;
    }
    this.#at += 1;
  }

  /** Steps through a list: the indexes of its items; behind each, the caller reads the item. */
  *#items(): Generator<number> {
    this.#at += 1;
    for (let index = 0; this.#peek() !== "]"; index += 1) {
      if (this.#peek() === ",") this.#at += 1;
      yield index;
    }
    this.#at += 1;
  }

  /** The next character that is no white space. */
  #peek(): string {
    space.lastIndex = this.#at;
    space.test(this.#text);
    this.#at = space.lastIndex;
    return this.#text[this.#at] ?? "";
  }

  #isNull(): boolean {
    if (this.#peek() !== "n") return false;
    this.#at += "null".length;
    return true;
  }

  /** Reads a text; one of a value has whole characters only. */
  #string(step: string, isValue = true): string {
    const start = this.#at;
    this.#at = this.#endOfString(start);
    const token = this.#text.slice(start, this.#at);
    if (!token.includes("\\")) return token.slice(1, -1);
    const value = String(JSON.parse(token));
    if (isValue && !value.isWellFormed())
      throw new Unreadable(step, "string.unicode", "it holds half of a surrogate pair");
    return value;
  }

  /** Where the text that begins at `start` ends: behind the first quote before which an even number of backslashes stands. */
  #endOfString(start: number): number {
    let quote = start;
    let backslashes: number;
    do {
      quote = this.#text.indexOf('"', quote + 1);
      backslashes = 0;
      while (this.#text[quote - 1 - backslashes] === "\\") backslashes += 1;
    } while (backslashes % 2 === 1);
    return quote + 1;
  }

  /** Reads a number or a word; "" where an object or a list begins. */
  #literal(): string {
    literal.lastIndex = this.#at;
    const token = literal.exec(this.#text)?.[0] ?? "";
    this.#at += token.length;
    return token;
  }
}

function isInt32(text: string): boolean {
  return wholeNumber.test(text) && fits("int32", BigInt(text));
}

function fits(kind: FieldShape["kind"], value: bigint): boolean {
  const bits = kind.endsWith("64") ? 64 : 32;
  return kind.startsWith("u")
    ? BigInt.asUintN(bits, value) === value
    : BigInt.asIntN(bits, value) === value;
}

function wrongKind(step: string, expected: string): Unreadable {
  return new Unreadable(step, "decode", `it must be ${expected}`);
}
