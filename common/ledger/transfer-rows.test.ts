import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  alice,
  digestIntent,
  funding,
  intentOf,
  posting,
  purchase,
} from "../../test/support/intents/intents.ts";
import {
  digestPrefix,
  formatDigestPrefix,
  legOf,
  transferId,
  transferRows,
} from "./transfer-rows.ts";

interface TransferIdVector {
  readonly intentId: string;
  readonly leg: number;
  readonly transferId: string;
}

const vectors: readonly TransferIdVector[] = JSON.parse(
  readFileSync(new URL("../../test/vectors/transfer-ids.json", import.meta.url), "utf8"),
);

test.each(vectors)("the transfer of leg $leg of $intentId", (vector) => {
  expect(transferId(vector.intentId, vector.leg).toString()).toBe(vector.transferId);
});

test("digestPrefix takes 24 bytes as two big-endian numbers, and formatDigestPrefix gives them back", () => {
  const digest = `0x${"000102030405060708090a0b0c0d0e0f"}${"1011121314151617"}${"ff".repeat(8)}`;
  expect(digestPrefix(digest)).toEqual({
    userData128: 0x000102030405060708090a0b0c0d0e0fn,
    userData64: 0x1011121314151617n,
  });
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const hex = `0x${Buffer.from(bytes).toString("hex")}`;
      expect(formatDigestPrefix(digestPrefix(hex))).toBe(hex.slice(0, 50));
    }),
  );
});

describe("transferRows", () => {
  test("one row a posting, in order, linked but for the last", () => {
    const intent = intentOf({
      postings: [
        funding(alice.address, 750n),
        purchase(alice.address, 350n),
        purchase(alice.address, 400n),
      ],
    });
    const digest = digestIntent(intent);
    const rows = transferRows(intent, digest);
    expect(rows).toHaveLength(3);
    for (const [leg, row] of rows.entries()) {
      expect(row).toEqual({
        ...intent.postings[leg],
        id: transferId(intent.intentId, leg),
        pendingId: 0n,
        ...digestPrefix(digest),
        userData32: 3 * 65_536 + leg,
        timeout: 0,
        phase: "IMMEDIATE",
        linked: leg < 2,
      });
    }
  });

  test("a post names the same leg of the pending intent", () => {
    const pending = intentOf({ phase: "PENDING", timeoutSeconds: 60 });
    const post = intentOf({ phase: "POST_PENDING", pendingIntentId: pending.intentId });
    const [row] = transferRows(post, digestIntent(post));
    expect(row).toMatchObject({
      pendingId: transferId(pending.intentId, 0),
      phase: "POST_PENDING",
    });
    const [reserved] = transferRows(pending, digestIntent(pending));
    expect(reserved).toMatchObject({ timeout: 60, pendingId: 0n, phase: "PENDING" });
  });

  test("legOf reads what the rows say, up to 64 legs", () => {
    const intent = intentOf({ postings: Array.from({ length: 64 }, () => posting()) });
    const rows = transferRows(intent, digestIntent(intent));
    expect(rows.map((row) => legOf(row.userData32))).toEqual(
      rows.map((_, leg) => ({ leg, legs: 64 })),
    );
    expect(legOf(0xffff_ffff)).toEqual({ leg: 0xffff, legs: 0xffff });
    expect(new Set(rows.map((row) => row.id)).size).toBe(64);
  });
});
