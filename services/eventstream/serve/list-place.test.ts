import { expect, test } from "vitest";
import { beginning, endOf } from "#common/wire/cursor.ts";
import { packPlace, unpackPlace } from "./list-place.ts";

test.each([
  ["the beginning", { after: beginning, through: 1n }],
  ["the end of an instant", { after: endOf(5n), through: 2n ** 63n }],
  ["a commit", { after: { timestamp: 7n, kind: "COMMIT", pendingTimestamp: 0n }, through: 8n }],
  ["an expiry", { after: { timestamp: 7n, kind: "EXPIRY", pendingTimestamp: 3n }, through: 8n }],
] as const)("a place survives a page token: %s", (_, place) => {
  expect(unpackPlace(packPlace(place))).toEqual(place);
});
