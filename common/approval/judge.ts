import { DomainError } from "#common/domain-error.ts";
import type { Intent } from "#common/intent/intent.ts";
import { clockSkewSeconds } from "#common/intent/rules.ts";
import { recoverAddress } from "#common/intent/signature.ts";
import { formatAmount } from "#common/ledger/assets.ts";
import { accountClassOf } from "#common/ledger/chart.ts";
import type { Approval } from "./approval.ts";
import type { DigestApproval } from "./digest.ts";
import { type ApprovalRule, type FreeAmount, type Policies, rulesAt } from "./policy.ts";

/** What an intent moves under a rule. */
export interface Demand {
  readonly rule: ApprovalRule;
  /** By ledger, minor units. */
  readonly sums: ReadonlyMap<number, bigint>;
}

/** What an intent takes of what passes in a day without approval. */
export interface Spend {
  readonly rule: ApprovalRule;
  readonly ledger: number;
  readonly amount: bigint;
  /** The sum of the day, the amount in it, must stay below. */
  readonly below: bigint;
  /** How many approvals the intent had that count. */
  readonly approved: number;
}

const noDemands: readonly Demand[] = [];

/**
 * What an intent moves, rule by rule, under the policy of its `issueTime`; nothing under most, and nothing at all where
 * there is no policy. POST and VOID stay within what was approved when it was reserved.
 */
export function demandsOf(policies: Policies, intent: Intent): readonly Demand[] {
  if (policies.versions.length === 0) return noDemands;
  if (intent.phase === "POST_PENDING" || intent.phase === "VOID_PENDING") return noDemands;
  return rulesAt(policies, intent.issueTime).flatMap((rule) => {
    const sums = sumsUnder(rule, intent);
    return sums.size === 0 ? [] : { rule, sums };
  });
}

function sumsUnder(rule: ApprovalRule, { postings }: Intent): ReadonlyMap<number, bigint> {
  const sums = new Map<number, bigint>();
  for (const { code, debitAccountId, ledger, amount } of postings) {
    if (!rule.codes.has(code)) continue;
    const debitClass = accountClassOf(debitAccountId);
    if (rule.debitClasses && !(debitClass && rule.debitClasses.has(debitClass))) continue;
    sums.set(ledger, (sums.get(ledger) ?? 0n) + amount);
  }
  return sums;
}

/** Why an approval does not count. */
export type ApprovalFault = "UNKNOWN" | "REVOKED" | "EXPIRED" | "NOT_YET" | "PROPOSER";

/** What approvals are judged by. */
export interface ApprovalJudge {
  readonly policies: Policies;
  /** Unix seconds. Undefined: each is judged by its own `issueTime`, as evidence of which nobody knows when it was stored. */
  readonly nowSeconds: bigint | undefined;
  /** The subject that proposed the intent, where that is known. */
  readonly proposer?: string | undefined;
}

/** Why an approval does not count for a rule now; undefined if it does. */
export function faultOf(
  approval: Approval,
  rule: ApprovalRule,
  { policies, proposer, ...judge }: ApprovalJudge,
): ApprovalFault | undefined {
  const { nowSeconds = approval.issueTime } = judge;
  const approver = rule.approvers.get(approval.approver);
  if (approver === undefined) return "UNKNOWN";
  const revokeTime = policies.revokeTimes.get(approval.approver);
  if (revokeTime !== undefined && nowSeconds >= revokeTime) return "REVOKED";
  if (nowSeconds >= approval.expireTime) return "EXPIRED";
  if (approval.issueTime > nowSeconds + clockSkewSeconds) return "NOT_YET";
  const isProposer = proposer !== undefined && proposer !== "" && approver.subject === proposer;
  return isProposer && !rule.proposerCounts ? "PROPOSER" : undefined;
}

/** The approvals that count for a rule now, one an address. */
export function countingApprovals(
  rule: ApprovalRule,
  approvals: readonly Approval[],
  judge: ApprovalJudge,
): readonly Approval[] {
  const byApprover = new Map<string, Approval>();
  for (const approval of approvals) {
    if (approval.decision !== "APPROVE" || byApprover.has(approval.approver)) continue;
    if (faultOf(approval, rule, judge) === undefined) byApprover.set(approval.approver, approval);
  }
  return [...byApprover.values()];
}

/**
 * Judges an intent's approvals. Returns what the intent takes of the day's sums where it is not approved and need not be
 * for its own amount; nothing of what is approved. Whoever stores the evidence counts that, or refuses. Throws
 * APPROVAL_REQUIRED, APPROVAL_REJECTED.
 */
export function judgeApprovals(
  { intentId }: Intent,
  demands: readonly Demand[],
  approvals: readonly Approval[],
  judge: ApprovalJudge,
): readonly Spend[] {
  return demands.flatMap(({ rule, sums }) => {
    const rejected = approvals.find(
      ({ approver, decision }) => decision === "REJECT" && rule.approvers.has(approver),
    );
    if (rejected !== undefined) throw approvalRejected(intentId, rejected.approver);
    const approved = countingApprovals(rule, approvals, judge).length;
    if (approved >= rule.needs) return [];
    return [...sums].map(([ledger, amount]) => {
      const free = rule.amounts.get(ledger);
      const wanted = { rule, approved, ledger };
      if (free === undefined) throw required(wanted, "amount per intent", 0n);
      if (amount >= free.from) throw required(wanted, "amount per intent", free.from);
      return spend(wanted, amount, free);
    });
  });
}

function spend(wanted: Wanted, amount: bigint, free: FreeAmount): Spend {
  // What alone reaches the day's sum need not be counted to be refused.
  if (amount >= free.fromADay) throw required(wanted, "amount per day", free.fromADay);
  return { ...wanted, amount, below: free.fromADay };
}

type Wanted = Pick<Spend, "rule" | "approved" | "ledger">;

/** The refusal of an intent with which the sum of the day would be too large. */
export function dayIsSpent(spent: Spend): DomainError<"APPROVAL_REQUIRED"> {
  return required(spent, "amount per day", spent.below);
}

function required(
  { rule, approved, ledger }: Wanted,
  what: string,
  from: bigint,
): DomainError<"APPROVAL_REQUIRED"> {
  const { name, needs, approvers } = rule;
  const since = what === "amount per day" ? "in 24 hours " : "";
  return new DomainError(
    "APPROVAL_REQUIRED",
    `${name}: from ${formatAmount(from, ledger)} ${since}on, ${needs} of ${approvers.size} approvers must have signed; ${approved} of them have`,
    {
      metadata: {
        rule: name,
        needs: String(needs),
        of: String(approvers.size),
        approved: String(approved),
        what,
        ledger: String(ledger),
        from: from.toString(),
      },
    },
  );
}

/** The refusal of what an approver has rejected. */
export function approvalRejected(
  intentId: string,
  approver: string,
): DomainError<"APPROVAL_REJECTED"> {
  return new DomainError("APPROVAL_REJECTED", `${approver} has rejected intent ${intentId}`, {
    metadata: { intentId, approver },
  });
}

/** The refusal of an approval that does not count. */
export function approvalInvalid(
  approver: string,
  state: ApprovalFault | "SIGNATURE",
): DomainError<"APPROVAL_INVALID"> {
  return new DomainError("APPROVAL_INVALID", `the approval of ${approver} ${faults[state]}`, {
    metadata: { approver, state },
  });
}

const faults = {
  SIGNATURE: "is not signed by that address over this intent",
  UNKNOWN: "is not asked for: the policy names no such approver for this intent",
  REVOKED: "counts no more: the approver is revoked",
  EXPIRED: "has expired",
  NOT_YET: "was issued in the future",
  PROPOSER: "does not count: whoever proposed the intent does not approve it",
} as const satisfies Record<ApprovalFault | "SIGNATURE", string>;

/** Checks that every approval is signed by the address that it names, whether it counts or not. Throws APPROVAL_INVALID. */
export function checkApprovalSignatures(
  intentDigest: string,
  approvals: readonly Approval[],
  digestApproval: DigestApproval,
): void {
  for (const approval of approvals) {
    const { approver, signature } = approval;
    if (recoverAddress(digestApproval(intentDigest, approval), signature) !== approver) {
      throw approvalInvalid(approver, "SIGNATURE");
    }
  }
}
