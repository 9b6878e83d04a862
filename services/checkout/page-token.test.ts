import { expect, it } from "vitest";
import { formatPageToken, parsePageToken } from "./page-token.ts";

const bound = ["checkouts", undefined, "market-1", 7] as const;

it("carries a position to the next page of the same request", () => {
  const token = formatPageToken(bound, "0198c0de-0000-7000-8000-000000000001");
  expect(parsePageToken(bound, token)).toBe("0198c0de-0000-7000-8000-000000000001");
  expect(parsePageToken(bound, "")).toBeUndefined();
});

it.each([
  ["another request", formatPageToken([...bound.slice(0, 3), 8], "x")],
  ["another caller", formatPageToken(["checkouts", "0x7099", "market-1", 7], "x")],
  ["garbage", "garbage"],
  ["another spelling", `${formatPageToken(bound, "x")}=`],
  ["a changed position", formatPageToken(bound, "xy").replace(/.$/, "A")],
])("refuses the token of %s", (_, token) => {
  expect(() => parsePageToken(bound, token)).toThrow(
    expect.objectContaining({ kind: "INVALID_FIELD" }),
  );
});
