import { describe, expect, test } from "vitest";
import { domainEncoder } from "#common/intent/digest.ts";
import type { Intent } from "#common/intent/intent.ts";
import { postingCodes } from "#common/intent/posting-codes.ts";
import {
  type ApprovalFields,
  approve as approveNow,
  approvers,
  policyText,
  stranger,
} from "../../test/support/approval/approvals.ts";
import {
  alice,
  chart,
  digestIntent,
  funding,
  houseIntentOf,
  posting,
  type TestKey,
  testDomain,
} from "../../test/support/intents/intents.ts";
import { approvalDigester } from "./digest.ts";
import { checkApprovalSignatures, demandsOf, judgeApprovals } from "./judge.ts";
import { noPolicies, type Policies } from "./policy.ts";
import { readPolicies } from "./read-policies.ts";

const [a, b, c] = approvers;
const policies = readPolicies(policyText());
const nowSeconds = 1_780_000_000n;

const fundingOf = (amount: bigint, fields: Partial<Intent> = {}) =>
  houseIntentOf({
    issueTime: nowSeconds,
    expireTime: nowSeconds + 3_600n,
    postings: [funding(alice.address, amount)],
    ...fields,
  });
const large = fundingOf(10_001n);
const adjustment = fundingOf(1n, {
  reference: "a slip",
  postings: [
    posting({
      debitAccountId: chart.mirror,
      creditAccountId: chart.audit,
      amount: 1n,
      code: postingCodes.ADJUSTMENT,
    }),
  ],
});

const approve = (intent: Intent, key: TestKey, fields: ApprovalFields = {}) =>
  approveNow(digestIntent(intent), key, { issueTime: nowSeconds, ...fields });

interface At {
  readonly policies?: Policies;
  readonly nowSeconds?: bigint;
  readonly proposer?: string;
}

function judge(intent: Intent, approvals: Parameters<typeof judgeApprovals>[2], at: At = {}) {
  const by = { policies, nowSeconds, ...at };
  return judgeApprovals(intent, demandsOf(by.policies, intent), approvals, by);
}

const required = (approved: number, what = "amount per intent") =>
  expect.objectContaining({
    kind: "APPROVAL_REQUIRED",
    metadata: expect.objectContaining({ needs: "2", of: "3", approved: String(approved), what }),
  });

describe("what a policy asks for", () => {
  test("nothing without one, and nothing of intents that are older than it", () => {
    expect(demandsOf(noPolicies, large)).toEqual([]);
    expect(demandsOf(policies, fundingOf(10_001n, { issueTime: 1_600_000_000n }))).toEqual([]);
  });

  test("the sum of an intent's postings counts, by asset", () => {
    const twice = fundingOf(1n, {
      postings: [funding(alice.address, 5_000n), funding(alice.address, 5_001n)],
    });
    expect(demandsOf(policies, twice).map(({ sums }) => sums)).toEqual([new Map([[1, 10_001n]])]);
  });

  test("other rules and other sources are free", () => {
    const fromStripe = fundingOf(1n, {
      postings: [funding(alice.address, 10n ** 9n, chart.stripe)],
    });
    expect(demandsOf(policies, fromStripe)).toEqual([]);
  });

  test("a reservation is judged, its end is not", () => {
    expect(demandsOf(policies, { ...large, phase: "PENDING" })).toHaveLength(1);
    expect(demandsOf(policies, { ...large, phase: "POST_PENDING" })).toEqual([]);
    expect(demandsOf(policies, { ...large, phase: "VOID_PENDING" })).toEqual([]);
  });

  test("up to an amount it takes of the day, from it on it needs approval", () => {
    expect(judge(fundingOf(10_000n), [])).toMatchObject([
      { ledger: 1, amount: 10_000n, below: 50_001n, approved: 0 },
    ]);
    expect(() => judge(large, [])).toThrow(required(0));
  });

  test("every amount of an asset that is not named needs approval", () => {
    expect(() => judge(adjustment, [])).toThrow(required(0));
    expect(judge(adjustment, [approve(adjustment, a), approve(adjustment, c)])).toEqual([]);
  });
});

describe("k of n", () => {
  test("two of three are enough, whichever, and take nothing of the day", () => {
    for (const [one, other] of [
      [a, b],
      [b, c],
      [c, a],
    ] as const) {
      expect(judge(large, [approve(large, one), approve(large, other)])).toEqual([]);
    }
    const small = fundingOf(1n);
    expect(judge(small, [approve(small, a), approve(small, b)])).toEqual([]);
  });

  test("one is not, and one address counts once", () => {
    expect(() => judge(large, [approve(large, a)])).toThrow(required(1));
    const again = approve(large, a, { issueTime: nowSeconds - 1n });
    expect(() => judge(large, [approve(large, a), again])).toThrow(required(1));
  });

  test("a stranger counts nothing", () => {
    expect(() => judge(large, [approve(large, a), approve(large, stranger)])).toThrow(required(1));
  });

  test("from the moment of a revocation an approver counts nothing", () => {
    const revokeTime = "2026-05-28T20:26:40Z";
    const revoked = readPolicies(policyText({ revokeTime }));
    const both = [approve(large, a), approve(large, c)];
    expect(judge(large, both, { policies: revoked, nowSeconds: nowSeconds - 1n })).toEqual([]);
    expect(() => judge(large, both, { policies: revoked })).toThrow(required(1));
  });

  test("from its expireTime on an approval counts nothing, nor one from the future", () => {
    const both = [approve(large, a), approve(large, b, { expireTime: nowSeconds + 10n })];
    expect(judge(large, both, { nowSeconds: nowSeconds + 9n })).toEqual([]);
    expect(() => judge(large, both, { nowSeconds: nowSeconds + 10n })).toThrow(required(1));
    const ahead = [approve(large, a), approve(large, b, { issueTime: nowSeconds + 301n })];
    expect(() => judge(large, ahead)).toThrow(required(1));
    expect(judge(large, ahead, { nowSeconds: nowSeconds + 1n })).toEqual([]);
  });

  test("a rejection by an approver is final, one by a stranger is nothing", () => {
    const enough = [approve(large, a), approve(large, b)];
    const rejection = approve(large, c, { decision: "REJECT" });
    expect(() => judge(large, [...enough, rejection])).toThrow(
      expect.objectContaining({
        kind: "APPROVAL_REJECTED",
        metadata: { intentId: large.intentId, approver: c.address },
      }),
    );
    expect(judge(large, [...enough, approve(large, stranger, { decision: "REJECT" })])).toEqual([]);
  });

  test("who proposed counts only if the policy says so", () => {
    const both = [approve(large, a), approve(large, b)];
    expect(() => judge(large, both, { proposer: "approver-1" })).toThrow(required(1));
    expect(judge(large, both, { proposer: "treasurer" })).toEqual([]);
    const text = policyText().replaceAll('"needs":2', '"needs":2,"proposerCounts":true');
    expect(judge(large, both, { policies: readPolicies(text), proposer: "approver-1" })).toEqual(
      [],
    );
  });
});

test("an approval is signed by the address that it names, over this intent, under this domain", () => {
  const digest = digestIntent(large);
  const digestApproval = approvalDigester(domainEncoder(testDomain));
  const check = (approval: ReturnType<typeof approve>) =>
    checkApprovalSignatures(digest, [approval], digestApproval);
  const good = approve(large, a);
  expect(() => check(good)).not.toThrow();
  const invalid = expect.objectContaining({
    kind: "APPROVAL_INVALID",
    metadata: expect.objectContaining({ state: "SIGNATURE" }),
  });
  const elsewhere = { ...testDomain, chainId: 1n };
  for (const forged of [
    { ...good, approver: b.address },
    { ...good, decision: "REJECT" as const },
    { ...good, expireTime: good.expireTime + 1n },
    { ...good, issueTime: good.issueTime - 1n },
    approve(fundingOf(10_001n), a),
    approve(large, a, { domain: elsewhere }),
  ]) {
    expect(() => check(forged)).toThrow(invalid);
  }
});
