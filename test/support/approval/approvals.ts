import type { Approval, Decision } from "#common/approval/approval.ts";
import { approvalDigester } from "#common/approval/digest.ts";
import { domainEncoder, type IntentDomain } from "#common/intent/digest.ts";
import { signDigest } from "#common/intent/signature.ts";
import { type TestKey, testDomain, testKey } from "../intents/intents.ts";

/** Three approvers, and one who is none. */
export const approvers = [testKey(0xa1), testKey(0xa2), testKey(0xa3)] as const;
export const stranger = testKey(0xa4);

export interface ApprovalFields {
  readonly decision?: Decision;
  /** Unix seconds. */
  readonly issueTime?: bigint;
  readonly expireTime?: bigint;
  readonly domain?: IntentDomain;
}

/** A key's approval of the intent with a digest, issued now for an hour unless `fields` say otherwise. */
export function approve(digest: string, key: TestKey, fields: ApprovalFields = {}): Approval {
  const { decision = "APPROVE", domain = testDomain } = fields;
  const issueTime = fields.issueTime ?? BigInt(Math.floor(Date.now() / 1_000));
  const expireTime = fields.expireTime ?? issueTime + 3_600n;
  const digestApproval = approvalDigester(domainEncoder(domain));
  const signed = digestApproval(digest, { decision, issueTime, expireTime });
  return {
    approver: key.address,
    decision,
    issueTime,
    expireTime,
    signature: signDigest(signed, key.privateKey),
  };
}

/** Two of three for FUNDING from CASH from 100.01 an intent and 500.01 a day on, and for every ADJUSTMENT. */
export function policyText(change: { readonly revokeTime?: string } = {}): string {
  const of = approvers.map(({ address }, index) => ({
    address,
    subject: `approver-${index + 1}`,
    ...(index === 2 && change.revokeTime !== undefined ? { revokeTime: change.revokeTime } : {}),
  }));
  return JSON.stringify({
    versions: [
      {
        activeFrom: "2026-01-01T00:00:00Z",
        approvals: {
          rules: [
            {
              name: "FUNDING_FROM_CASH",
              postingRules: ["FUNDING"],
              debitClasses: ["CASH"],
              amounts: [{ ledger: 1, from: "100.01", fromADay: "500.01" }],
              needs: 2,
              of,
            },
            { name: "EVERY_ADJUSTMENT", postingRules: ["ADJUSTMENT"], needs: 2, of },
          ],
        },
      },
    ],
  });
}
