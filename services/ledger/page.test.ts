// Goal: a page token continues its own list and no other.
import { describe, expect, test } from "vitest";
import { viewerOf } from "#common/ledger/visibility.ts";
import { createPageTokens, type List, type PageTokens } from "#common/wire/page-token.ts";
import { formatPageToken, type PageView, placeOf, type Span } from "./page.ts";

const list: List = ["transfers", 7n, undefined, 2];
const place = { after: 1_000n, to: 2_000n };
const now = 5_000n;

const url = "postgres://ledger:secret@localhost/sovr";
const pageTokens = createPageTokens("ledger/0", url);

function viewOf(fields: { pageTokens?: PageTokens; wallet?: string } = {}): PageView {
  return {
    pageTokens: fields.pageTokens ?? pageTokens,
    viewer: viewerOf({ wallet: fields.wallet }),
    reader: { clusterTime: async () => now },
  };
}

const first = { pageSize: 10, pageToken: "" };
const refusal = { kind: "INVALID_FIELD", metadata: { field: "page_token" } };

describe("a page token", () => {
  const token = formatPageToken(viewOf(), list, place);

  test("continues its list where the page before ended", async () => {
    expect(await placeOf(viewOf(), list, { pageSize: 99, pageToken: token })).toEqual(place);
  });

  test.each([
    ["another list", viewOf(), ["accounts", ...list.slice(1)]],
    ["another filter", viewOf(), ["transfers", 7n, undefined, 3]],
    ["another caller", viewOf({ wallet: "0xabc" }), list],
    ["another cluster", viewOf({ pageTokens: createPageTokens("ledger/1", url) }), list],
  ])("is refused for %s", async (_, view, other) => {
    await expect(placeOf(view, other, { ...first, pageToken: token })).rejects.toMatchObject(
      refusal,
    );
  });

  test("is refused if any of its characters is changed, missing or added", async () => {
    for (let index = 0; index < token.length; index += 1) {
      const other = token[index] === "A" ? "B" : "A";
      const changed = token.slice(0, index) + other + token.slice(index + 1);
      for (const pageToken of [changed, token.slice(0, index) || "!", `${token}A`]) {
        const refused = placeOf(viewOf(), list, { ...first, pageToken });
        await expect(refused).rejects.toMatchObject(refusal);
      }
    }
  });
});

describe("the span of a list", () => {
  test.each<[string, Span, { after: bigint; to: bigint }]>([
    ["is everything until now", {}, { after: 0n, to: now }],
    [
      "starts at from_time and stops before to_time",
      { from: 10n, to: 20n },
      { after: 9n, to: 19n },
    ],
    ["ends now if to_time lies in the future", { to: now + 9n }, { after: 0n, to: now }],
    ["may be empty", { from: 10n, to: 10n }, { after: 9n, to: 9n }],
    ["may start before 1970", { from: -5n, to: -1n }, { after: 0n, to: 0n }],
  ])("%s", async (_, span, expected) => {
    expect(await placeOf(viewOf(), list, first, span)).toEqual(expected);
  });

  test.each<[string, Span]>([
    ["from_time", { from: now + 1n }],
    ["to_time", { from: 20n, to: 19n }],
  ])("is refused for a bad %s", async (field, span) => {
    const refused = placeOf(viewOf(), list, first, span);
    await expect(refused).rejects.toMatchObject({ kind: "INVALID_FIELD", metadata: { field } });
  });
});
