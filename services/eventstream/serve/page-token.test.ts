import { expect, test } from "vitest";
import { endOf } from "#common/wire/cursor.ts";
import { formatPageToken, parsePageToken } from "./page-token.ts";

const request = Buffer.from("request");
const place = { after: endOf(5n), through: 2n ** 63n };

test("a token brings back its place", () => {
  expect(parsePageToken(7n, request, formatPageToken(7n, request, place))).toEqual(place);
});

test("a token is good for its own request and cluster only, and only as it was given", () => {
  const token = formatPageToken(7n, request, place);
  const other = Buffer.from("Request");
  expect(() => parsePageToken(7n, other, token)).toThrow(/next_page_token of the same request/);
  expect(() => parsePageToken(8n, request, token)).toThrow(/next_page_token of the same request/);
  const spoilt = [...token].map(
    (char, index) => `${token.slice(0, index)}${char === "A" ? "B" : "A"}${token.slice(index + 1)}`,
  );
  for (const text of ["", "AAAA", `${token}A`, token.slice(1), `${token}=`, ...spoilt]) {
    expect(() => parsePageToken(7n, request, text), text).toThrow();
  }
});
