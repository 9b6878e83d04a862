// Goal: a page token continues the list that it was given for, on every replica, and nobody else can make one.
import { createHash, createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createPageTokens, type List } from "./page-token.ts";

const scope = "ledger/0";
const tokens = createPageTokens(scope, "postgres://reader:s3cret@records-a:5432/sovr");
const list: List = ["transfers", undefined, 7n, 2, Buffer.from("filter")];
const place = Buffer.from("0123456789abcdef");
const refused = expect.objectContaining({
  kind: "INVALID_FIELD",
  metadata: { field: "page_token", rule: "page_token.match" },
});

test("a token brings back its place, also an empty one", () => {
  expect(tokens.open(list, tokens.seal(list, place))).toEqual(place);
  expect(tokens.open(list, tokens.seal(list, Buffer.alloc(0)))).toEqual(Buffer.alloc(0));
});

test("another replica opens it, though it reaches the records by another way", () => {
  const other = createPageTokens(scope, "postgres://reader:s3cret@records-b/sovr?sslmode=require");
  expect(other.open(list, tokens.seal(list, place))).toEqual(place);
});

describe("a token is refused", () => {
  test.each<[string, List]>([
    ["for another list", ["accounts", ...list.slice(1)]],
    ["for another caller", ["transfers", "0xabc", ...list.slice(2)]],
    ["for a field that is empty instead of missing", ["transfers", "", ...list.slice(2)]],
    ["for another filter", [...list.slice(0, 4), Buffer.from("Filter")]],
    ["for fewer fields", list.slice(0, 4)],
  ])("%s", (_, other) => {
    expect(() => tokens.open(other, tokens.seal(list, place))).toThrow(refused);
  });

  test.each([
    ["on another ledger", "ledger/1", "s3cret"],
    ["by another service", "eventstream/0", "s3cret"],
    ["with another password", scope, "S3cret"],
    ["without a password", scope, ""],
  ])("%s", (_, otherScope, password) => {
    const other = createPageTokens(otherScope, `postgres://reader:${password}@records-a/sovr`);
    expect(() => other.open(list, tokens.seal(list, place))).toThrow(refused);
  });

  test("if any of its characters is changed, missing or added", () => {
    const token = tokens.seal(list, place);
    for (let index = 0; index < token.length; index += 1) {
      const other = token[index] === "A" ? "B" : "A";
      const changed = token.slice(0, index) + other + token.slice(index + 1);
      for (const text of [changed, token.slice(0, index), token.slice(index + 1)]) {
        expect(() => tokens.open(list, text), text).toThrow(refused);
      }
    }
    for (const text of [`${token}A`, `${token}=`, ` ${token}`, `${token}\n`]) {
      expect(() => tokens.open(list, text), text).toThrow(refused);
    }
  });

  test.each(["", "garbage", "é", "A".repeat(1_024)])("if it is none: %j", (text) => {
    expect(() => tokens.open(list, text)).toThrow(refused);
  });

  test("if it was forged by all that is public", () => {
    const bound = JSON.stringify(["transfers", null, "7", 2, "ZmlsdGVy"]);
    const text = `2 ${bound.length} ${bound}`;
    for (const tag of [
      createHash("sha256").update(text).update(place).digest(),
      createHmac("sha256", "").update(text).update(place).digest(),
      createHmac("sha256", scope).update(text).update(place).digest(),
    ]) {
      const forged = Buffer.concat([Buffer.of(2), tag.subarray(0, 16), place]);
      expect(() => tokens.open(list, forged.toString("base64url"))).toThrow(refused);
    }
  });

  test.each([
    // What the release before sealed for the same places: its version, the place and a plain hash over both.
    ["the Ledger", "AQAAAAAAAAPoAAAAAAAAB9AAAAAAAAAAAAAAAAA"],
    [
      "EventStream",
      Buffer.concat([Buffer.alloc(12, 0x42), Buffer.alloc(48, 7)]).toString("base64url"),
    ],
    [
      "Checkout",
      Buffer.concat([Buffer.alloc(12, 2), Buffer.from("0198c0de")]).toString("base64url"),
    ],
  ])("if it is the last release's, of %s", (_, token) => {
    expect(() => tokens.open(list, token)).toThrow(refused);
  });
});
