import { describe, expect, test } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { alice, intentOf, posting, purchase } from "../../test/support/intents/intents.ts";
import type { Intent } from "./intent.ts";
import { checkIssued, checkLimits, checkShape, intentExpired, isExpired } from "./rules.ts";

function refusal(work: () => void): unknown {
  try {
    work();
    return undefined;
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return { kind: error.kind, ...error.metadata };
  }
}

const issueTime = 1_800_000_000n;
const postings = (count: number) =>
  Array.from({ length: count }, () => purchase(alice.address, 1n));
const pendingIntentId = newUuidV7();

describe("checkShape", () => {
  test.each<[string, Partial<Intent>]>([
    ["a purchase", {}],
    ["empty strings", { merchantId: "", reference: "" }],
    [
      "128 characters, from space to tilde",
      { merchantId: " ".repeat(128), reference: "~".repeat(128) },
    ],
    ["64 postings", { postings: postings(64) }],
    ["a day of life", { expireTime: issueTime + 86_400n }],
    ["a second of life", { expireTime: issueTime + 1n }],
    ["a year pending", { phase: "PENDING", timeoutSeconds: 31_536_000 }],
    ["pending for ever", { phase: "PENDING", timeoutSeconds: 0 }],
    [
      "a post of nothing",
      { phase: "POST_PENDING", pendingIntentId, postings: [posting({ amount: 0n })] },
    ],
    ["a void", { phase: "VOID_PENDING", pendingIntentId }],
    ["a correction", { corrects: `0x${"ab".repeat(32)}` }],
    [
      "the largest amount and code",
      { postings: [posting({ amount: 2n ** 128n - 1n, code: 65_535 })] },
    ],
  ])("takes %s", (_what, fields) => {
    expect(refusal(() => checkShape(intentOf({ issueTime, ...fields })))).toBeUndefined();
  });

  test.each<[string, Partial<Intent>, string]>([
    ["an upper-case id", { intentId: newUuidV7().toUpperCase() }, "intent_id"],
    ["a UUIDv4", { intentId: "b5f0c0de-0000-4000-8000-000000000000" }, "intent_id"],
    ["129 characters", { merchantId: "x".repeat(129) }, "merchant_id"],
    ["a line end", { reference: "a\n" }, "reference"],
    ["a delete", { reference: "\x7f" }, "reference"],
    ["an umlaut", { merchantId: "Käse" }, "merchant_id"],
    ["an upper-case digest", { corrects: `0x${"AB".repeat(32)}` }, "corrects"],
    ["a short digest", { corrects: "0xab" }, "corrects"],
    [
      "a digest of zeros, which is how nothing is signed",
      { corrects: `0x${"00".repeat(32)}` },
      "corrects",
    ],
    ["a post of nothing named", { phase: "POST_PENDING" }, "pending_intent_id"],
    ["a void of nothing named", { phase: "VOID_PENDING" }, "pending_intent_id"],
    ["a pending id without need", { pendingIntentId }, "pending_intent_id"],
    ["a pending id on PENDING", { phase: "PENDING", pendingIntentId }, "pending_intent_id"],
    ["a timeout without PENDING", { timeoutSeconds: 1 }, "timeout_seconds"],
    [
      "a timeout on POST",
      { phase: "POST_PENDING", pendingIntentId, timeoutSeconds: 1 },
      "timeout_seconds",
    ],
    [
      "a timeout beyond a year",
      { phase: "PENDING", timeoutSeconds: 31_536_001 },
      "timeout_seconds",
    ],
    ["a timeout of half a second", { phase: "PENDING", timeoutSeconds: 0.5 }, "timeout_seconds"],
    ["no postings", { postings: [] }, "postings"],
    ["65 postings", { postings: postings(65) }, "postings"],
    ["an amount of 0", { postings: [posting(), posting({ amount: 0n })] }, "postings[1].amount"],
    [
      "a void of 0",
      { phase: "VOID_PENDING", pendingIntentId, postings: [posting({ amount: 0n })] },
      "postings[0].amount",
    ],
    ["an asset that is none", { postings: [posting({ ledger: 4 })] }, "postings[0].ledger"],
    ["code 0", { postings: [posting({ code: 0 })] }, "postings[0].code"],
    ["a code beyond 16 bits", { postings: [posting({ code: 65_536 })] }, "postings[0].code"],
    ["a time before 1970", { issueTime: -1n, expireTime: 1n }, "issue_time"],
    ["a time after 9999", { issueTime: 253_402_300_800n }, "issue_time"],
    ["an end after 9999", { issueTime: 253_402_300_799n }, "expire_time"],
    ["no life", { expireTime: issueTime }, "expire_time"],
    ["an end before its start", { expireTime: issueTime - 1n }, "expire_time"],
    ["more than a day of life", { expireTime: issueTime + 86_401n }, "expire_time"],
  ])("refuses %s", (_what, fields, field) => {
    expect(refusal(() => checkShape(intentOf({ issueTime, ...fields })))).toMatchObject({
      kind: "INVALID_FIELD",
      field: `intent.${field}`,
    });
  });
});

describe("checkLimits", () => {
  const limits = { unitsMax: 10n };
  const unit = { 1: 100n, 2: 100n, 3: 10n ** 18n };

  test.each<[string, Intent["postings"]]>([
    ["the limit", [posting({ amount: 1_000n })]],
    ["the limit in parts", [posting({ amount: 999n }), posting({ amount: 1n })]],
    [
      "each asset for itself",
      [posting({ amount: 10n * unit[1] }), posting({ ledger: 2, amount: 10n * unit[2] })],
    ],
    ["the scale of the asset", [posting({ ledger: 3, amount: 10n * unit[3] })]],
  ])("takes %s", (_what, items) => {
    expect(refusal(() => checkLimits(intentOf({ postings: items }), limits))).toBeUndefined();
  });

  test.each<[string, Intent["postings"], string]>([
    ["a unit more", [posting({ amount: 1_001n })], "1000"],
    ["a unit more in parts", [posting({ amount: 1_000n }), posting({ amount: 1n })], "1000"],
    [
      "more of another scale",
      [posting({ ledger: 3, amount: 10n * unit[3] + 1n })],
      "10000000000000000000",
    ],
    [
      "what overflows no sum",
      [posting({ amount: 2n ** 128n - 1n }), posting({ amount: 2n ** 128n - 1n })],
      "1000",
    ],
  ])("refuses %s", (_what, items, limit) => {
    expect(refusal(() => checkLimits(intentOf({ postings: items }), limits))).toEqual({
      kind: "LIMIT_EXCEEDED",
      limit,
      what: "amount per intent",
    });
  });
});

describe("time", () => {
  const intent = intentOf({ issueTime, expireTime: issueTime + 60n });

  test("an intent may be issued five minutes ahead, and no more", () => {
    expect(refusal(() => checkIssued(intent, issueTime - 300n))).toBeUndefined();
    expect(refusal(() => checkIssued(intent, issueTime - 301n))).toEqual({
      kind: "INTENT_NOT_YET_VALID",
      intentId: intent.intentId,
      issueTime: "2027-01-15T08:00:00Z",
    });
  });

  test("an intent expires with its expire_time", () => {
    expect(isExpired(intent, issueTime + 59n)).toBe(false);
    expect(isExpired(intent, issueTime + 60n)).toBe(true);
    expect(
      refusal(() => {
        throw intentExpired(intent);
      }),
    ).toEqual({
      kind: "INTENT_EXPIRED",
      intentId: intent.intentId,
      expireTime: "2027-01-15T08:01:00Z",
    });
  });
});
