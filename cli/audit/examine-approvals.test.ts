// Goal: an audit finds what cleared without the approvals of its time, and nothing in what is older than the policy.
import { expect, test } from "vitest";
import { approvalDigester } from "#common/approval/digest.ts";
import { noPolicies } from "#common/approval/policy.ts";
import { readPolicies } from "#common/approval/read-policies.ts";
import { domainEncoder } from "#common/intent/digest.ts";
import type { Attestation, Intent } from "#common/intent/intent.ts";
import { recoverAddress } from "#common/intent/signature.ts";
import { transferRows } from "#common/ledger/transfer-rows.ts";
import {
  type ApprovalFields,
  approve,
  approvers,
  policyText,
  stranger,
} from "../../test/support/approval/approvals.ts";
import {
  alice,
  attest,
  attestorKey,
  digestBatch,
  digestIntent,
  funding,
  houseIntentOf,
  type TestKey,
  testDomain,
} from "../../test/support/intents/intents.ts";
import { type AuditRules, examineTransfers } from "./examine-transfers.ts";

const rules: AuditRules = {
  digestIntent,
  digestBatch,
  recoverTree: recoverAddress,
  digestApproval: approvalDigester(domainEncoder(testDomain)),
  signers: [
    {
      address: attestorKey.address,
      activateTime: 0n,
      retireTime: undefined,
      revokeTime: undefined,
    },
  ],
  policies: readPolicies(policyText()),
};
const issueTime = 1_780_000_000n;
const [a, b, c] = approvers;

const large = (fields: Partial<Intent> = {}) =>
  houseIntentOf({
    issueTime,
    expireTime: issueTime + 3_600n,
    postings: [funding(alice.address, 10_001n)],
    ...fields,
  });
const signedBy = (intent: Intent, keys: readonly TestKey[], fields: ApprovalFields = {}) =>
  keys.map((key) => approve(digestIntent(intent), key, { issueTime, ...fields }));

/** What an audit finds in the one transfer of an intent that cleared ten seconds after its issue. */
async function findings(
  intent: Intent,
  approvals?: Attestation["approvals"],
  change: Partial<AuditRules> = {},
) {
  const attestation = { ...attest(intent), ...(approvals === undefined ? {} : { approvals }) };
  const evidence = { intent, attestation };
  const records = {
    byPrefix: async () => new Map([[attestation.digest.slice(0, 50), evidence]]),
    byIntentId: async () => new Map(),
    seenTimes: async () => new Map(),
    close: async () => undefined,
  };
  const timestamp = (intent.issueTime + 10n) * 1_000_000_000n;
  const transfers = transferRows(intent, attestation.digest).map((row) => ({
    ...row,
    foreignFlags: 0,
    timestamp,
  }));
  const found = await examineTransfers(records, { ...rules, ...change })(transfers);
  return found.map(({ kind }) => kind);
}

test("what had its approvals is clean, also those that have expired since", async () => {
  const intent = large();
  expect(await findings(intent, signedBy(intent, [a, c]))).toEqual([]);
  const short = { expireTime: issueTime + 1n };
  expect(await findings(intent, signedBy(intent, [a, c], short))).toEqual([]);
});

test("what lacks one, or has one of a stranger, of one twice or of no one, is found", async () => {
  const intent = large();
  for (const keys of [[], [a], [a, a], [a, stranger]]) {
    expect(await findings(intent, signedBy(intent, keys))).toEqual(["NOT_APPROVED"]);
  }
  expect(await findings(intent)).toEqual(["NOT_APPROVED"]);
  const forged = signedBy(large(), [a, b]);
  expect(await findings(intent, forged)).toEqual(["NOT_APPROVED"]);
});

test("what a revoked approver signed is found only if it was after the revocation", async () => {
  const intent = large();
  const policies = readPolicies(policyText({ revokeTime: "2026-05-28T20:26:40Z" }));
  const before = [
    ...signedBy(intent, [a]),
    ...signedBy(intent, [c], { issueTime: issueTime - 1n }),
  ];
  expect(await findings(intent, before, { policies })).toEqual([]);
  expect(await findings(intent, signedBy(intent, [a, c]), { policies })).toEqual(["NOT_APPROVED"]);
});

test("what is small, or older than the policy, or of a mesh without one, is clean", async () => {
  expect(await findings(large({ postings: [funding(alice.address, 10_000n)] }))).toEqual([]);
  const old = 1_760_000_000n;
  expect(await findings(large({ issueTime: old, expireTime: old + 3_600n }))).toEqual([]);
  expect(await findings(large(), undefined, { policies: noPolicies })).toEqual([]);
});
