import type { Approval } from "#common/approval/approval.ts";
import type { DigestApproval } from "#common/approval/digest.ts";
import {
  type ApprovalFault,
  type ApprovalJudge,
  approvalInvalid,
  checkApprovalSignatures,
  countingApprovals,
  type Demand,
  demandsOf,
  faultOf,
} from "#common/approval/judge.ts";
import type { Policies } from "#common/approval/policy.ts";
import { requireUnbound } from "#common/caller.ts";
import type { CallLimit } from "#common/deadline.ts";
import { DomainError } from "#common/domain-error.ts";
import type { DigestIntent } from "#common/intent/digest.ts";
import type { Attestation, Intent } from "#common/intent/intent.ts";
import { checkShape, intentExpired, isExpired } from "#common/intent/rules.ts";
import { signerState } from "#common/intent/signers.ts";
import {
  type AttestCaller,
  type AttestorPorts,
  type CheckPorts,
  checkNew,
  reused,
  signAndKeep,
} from "./attestation.ts";
import {
  type Proposal,
  type ProposalFilter,
  type ProposalStep,
  type ProposalStore,
  proposalClosed,
  proposalNotFound,
} from "./proposal.ts";

export interface ProposalPorts
  extends CheckPorts,
    Pick<AttestorPorts, "encodeIntent" | "signatures" | "store"> {
  readonly digestIntent: DigestIntent;
  readonly digestApproval: DigestApproval;
  readonly policies: () => Policies;
  readonly proposals: ProposalStore;
}

export interface ProposeRequest {
  readonly intent: Intent;
  /** 65 bytes as lower-case `0x` hex, or "". */
  readonly walletSignature: string;
  readonly validateOnly: boolean;
  readonly caller: AttestCaller;
}

export interface DecideRequest {
  readonly intentId: string;
  readonly approval: Approval;
  readonly caller: AttestCaller;
  /** How long a signer that is elsewhere is waited for. */
  readonly limit: CallLimit;
}

/** A proposal, and what the policy asks of it. */
export interface JudgedProposal {
  readonly proposal: Proposal;
  readonly demands: readonly JudgedDemand[];
}

export interface JudgedDemand {
  readonly rule: string;
  readonly needs: number;
  /** How many approvals count: now, or when they were enough. */
  readonly approved: number;
  /** EIP-55. */
  readonly approvers: readonly string[];
}

/** Proposals: intents of the house that several decide on. */
export interface Proposals {
  /** Throws as Attest, and NOT_PROPOSABLE, INTENT_ID_REUSED, LIMIT_EXCEEDED. */
  propose(request: ProposeRequest): Promise<JudgedProposal>;
  list(filter: Omit<ProposalFilter, "nowSeconds">): Promise<readonly JudgedProposal[]>;
  /** PROPOSAL_NOT_FOUND. */
  get(intentId: string): Promise<JudgedProposal>;
  /** Throws APPROVAL_INVALID, PROPOSAL_NOT_FOUND, PROPOSAL_CLOSED, INTENT_EXPIRED, and what a signer throws. */
  decide(request: DecideRequest): Promise<JudgedProposal>;
  /** Throws PROPOSAL_NOT_FOUND, PROPOSAL_CLOSED, SCOPE_MISSING. */
  withdraw(intentId: string, caller: AttestCaller): Promise<JudgedProposal>;
  /** Signs what was approved and not signed, because whoever was about to died. Throws the first reason why it cannot. */
  signApproved(limit: CallLimit): Promise<void>;
}

export function createProposals(ports: ProposalPorts): Proposals {
  const judged = (proposal: Proposal) => judgedOf(ports, proposal);
  return {
    propose: async (request) => judged(await propose(ports, request)),
    list: async (filter) => {
      const found = await ports.proposals.list({ ...filter, nowSeconds: ports.nowSeconds() });
      return found.map(judged);
    },
    get: async (intentId) => judged(await required(ports, intentId)),
    decide: async (request) => judged(await decide(ports, request)),
    withdraw: async (intentId, caller) => judged(await withdraw(ports, intentId, caller)),
    signApproved: (limit) => signApproved(ports, limit),
  };
}

async function propose(ports: ProposalPorts, request: ProposeRequest): Promise<Proposal> {
  const { intent, walletSignature, validateOnly, caller } = request;
  checkShape(intent);
  requireUnbound(caller, "the house proposes");
  const digest = ports.digestIntent(intent);
  let signer: string;
  try {
    if (demandsOf(ports.policies(), intent).length === 0) throw notProposable(intent);
    ({ signer } = await checkNew(ports, intent, digest, walletSignature));
  } catch (refusal) {
    // What was proposed once is answered for ever, also after its time.
    const known = await ports.proposals.find(intent.intentId);
    if (known?.digest !== digest) throw refusal;
    return known;
  }
  const proposal = { intent, digest, walletSignature, proposer: caller.subject, signer };
  if (validateOnly) return wouldBe(ports, proposal);
  const stored = await ports.proposals.propose(proposal, ports.nowSeconds());
  if ("boundTo" in stored) {
    throw stored.boundTo === digest
      ? notProposable(intent)
      : reused(intent, digest, stored.boundTo);
  }
  if (stored.digest !== digest) throw reused(intent, digest, stored.digest);
  return stored;
}

/** The proposal as it stands under its id, or as it would. Throws INTENT_ID_REUSED, NOT_PROPOSABLE. */
async function wouldBe(
  { proposals, store, nowSeconds }: ProposalPorts,
  proposal: Omit<
    Proposal,
    "number" | "state" | "decisions" | "counted" | "createTimeMs" | "closeTimeMs" | "attestation"
  >,
): Promise<Proposal> {
  const { intent, digest } = proposal;
  const bound = await store.find(intent.intentId);
  if (bound !== undefined && bound.digest !== digest) throw reused(intent, digest, bound.digest);
  const known = await proposals.find(intent.intentId);
  if (known !== undefined) return known;
  if (bound !== undefined) throw notProposable(intent);
  return {
    ...proposal,
    number: 0n,
    state: "OPEN",
    decisions: [],
    counted: [],
    createTimeMs: Number(nowSeconds()) * 1_000,
    closeTimeMs: undefined,
    attestation: undefined,
  };
}

function notProposable({ intentId }: Intent): DomainError<"NOT_PROPOSABLE"> {
  return new DomainError(
    "NOT_PROPOSABLE",
    `no rule of the policy looks at intent ${intentId}, or it was attested without a proposal: nobody decides on it`,
    { metadata: { intentId } },
  );
}

async function required({ proposals }: ProposalPorts, intentId: string): Promise<Proposal> {
  const proposal = await proposals.find(intentId);
  if (proposal === undefined) throw proposalNotFound(intentId);
  return proposal;
}

async function decide(ports: ProposalPorts, request: DecideRequest): Promise<Proposal> {
  const { intentId, approval, caller, limit } = request;
  const { digest } = await required(ports, intentId);
  checkApprovalSignatures(digest, [approval], ports.digestApproval);
  const decided = await ports.proposals.change(intentId, (proposal) =>
    nextOf(ports, proposal, approval, caller.subject),
  );
  return signed(ports, decided, limit);
}

/** What a decision does to a proposal; undefined: nothing, for it was taken before. Throws why it is not taken. */
function nextOf(
  ports: ProposalPorts,
  proposal: Proposal,
  approval: Approval,
  subject: string,
): ProposalStep | undefined {
  const { intent, decisions, proposer } = proposal;
  const earlier = decisions.find(({ approver }) => approver === approval.approver);
  if (earlier?.signature === approval.signature) return undefined;
  const nowSeconds = ports.nowSeconds();
  if (proposal.state !== "OPEN") {
    // Who has said the same before, and was perhaps not answered, is told what came of it.
    if (earlier?.decision === approval.decision) return undefined;
    throw proposalClosed(proposal, nowSeconds);
  }
  if (isExpired(intent, nowSeconds)) throw intentExpired(intent);
  const policies = ports.policies();
  const demands = demandsOf(policies, intent);
  // A policy that is gone approves of nothing.
  if (demands.length === 0) throw notProposable(intent);
  const judge = { policies, nowSeconds, proposer };
  const fault = faultAmong(approval, demands, judge, subject);
  if (fault !== undefined) throw approvalInvalid(approval.approver, fault);
  if (approval.decision === "REJECT") {
    return { decision: approval, close: { state: "REJECTED", counted: [] } };
  }
  const others = decisions.filter(({ approver }) => approver !== approval.approver);
  // One address counts once; only one whose time is over is followed by another.
  if (earlier !== undefined && faultAmong(earlier, demands, judge, "") === undefined) {
    return undefined;
  }
  const all = [...others, approval];
  const counting = demands.map(({ rule }) => countingApprovals(rule, all, judge));
  const isEnough = demands.every(({ rule }, index) => (counting[index]?.length ?? 0) >= rule.needs);
  if (!isEnough) return { decision: approval };
  const counted = [...new Set(counting.flat())];
  return { decision: approval, close: { state: "APPROVED", counted } };
}

/**
 * Why an approval counts for none of the rules under which the intent falls; undefined if it does for one. Whoever sends it
 * with the token of the proposer is the proposer, whatever the policy knows of him; to reject what one has proposed is
 * always right.
 */
function faultAmong(
  approval: Approval,
  demands: readonly Demand[],
  judge: ApprovalJudge,
  subject: string,
): ApprovalFault | undefined {
  const rejects = approval.decision === "REJECT";
  const by = rejects ? { ...judge, proposer: undefined } : judge;
  const asked = demands.filter(({ rule }) => rule.approvers.has(approval.approver));
  const isProposer = subject !== "" && subject === judge.proposer;
  if (!rejects && isProposer && asked.some(({ rule }) => !rule.proposerCounts)) return "PROPOSER";
  const faults = asked.map(({ rule }) => faultOf(approval, rule, by));
  if (faults.length === 0) return "UNKNOWN";
  return faults.includes(undefined) ? undefined : faults[0];
}

async function withdraw(
  ports: ProposalPorts,
  intentId: string,
  caller: AttestCaller,
): Promise<Proposal> {
  return ports.proposals.change(intentId, (proposal) => {
    if (proposal.proposer !== caller.subject) {
      throw new DomainError("SCOPE_MISSING", "Only who proposed it takes a proposal back.", {
        metadata: { scope: "attest.propose" },
      });
    }
    if (proposal.state === "WITHDRAWN") return undefined;
    const nowSeconds = ports.nowSeconds();
    if (proposal.state !== "OPEN" || isExpired(proposal.intent, nowSeconds)) {
      throw proposalClosed(proposal, nowSeconds);
    }
    return { close: { state: "WITHDRAWN", counted: [] } };
  });
}

/** An approved proposal with its attestation: the decision stands, so whoever comes first signs. */
async function signed(
  ports: ProposalPorts,
  proposal: Proposal,
  limit: CallLimit,
): Promise<Proposal> {
  if (proposal.state !== "APPROVED" || proposal.attestation !== undefined) return proposal;
  return { ...proposal, attestation: await sign(ports, proposal, limit) };
}

function sign(ports: ProposalPorts, proposal: Proposal, limit: CallLimit): Promise<Attestation> {
  const { intent, digest, walletSignature, signer, counted } = proposal;
  const known = ports.signers().find(({ address }) => address === signer);
  if (known === undefined || signerState(known, ports.nowSeconds()) === "REVOKED") {
    const state = known === undefined ? "UNKNOWN" : "REVOKED";
    throw new DomainError("SIGNER_NOT_TRUSTED", `${signer}, who was to sign it, signs no more`, {
      metadata: { signer, state },
    });
  }
  if (!ports.keys.has(signer)) {
    throw new Error(`there is no key of ${signer} here, which signs what was proposed in its time`);
  }
  return signAndKeep(ports, intent, { digest, signer, walletSignature, approvals: counted }, limit);
}

/** The most that one sweep signs. */
const sweepMax = 100;

async function signApproved(ports: ProposalPorts, limit: CallLimit): Promise<void> {
  let first: unknown;
  for (const proposal of await ports.proposals.unsigned(ports.nowSeconds(), sweepMax)) {
    try {
      await sign(ports, proposal, limit);
    } catch (error) {
      // One whose signer is gone must not keep the others.
      first ??= error;
    }
  }
  if (first !== undefined) throw first;
}

function judgedOf({ policies, nowSeconds }: ProposalPorts, proposal: Proposal): JudgedProposal {
  const { intent, decisions, counted, proposer, state } = proposal;
  const by = { policies: policies(), nowSeconds: nowSeconds(), proposer };
  const demands = demandsOf(by.policies, intent).map(({ rule }) => ({
    rule: rule.name,
    needs: rule.needs,
    approved:
      state === "APPROVED"
        ? counted.filter(({ approver }) => rule.approvers.has(approver)).length
        : countingApprovals(rule, decisions, by).length,
    approvers: [...rule.approvers.keys()],
  }));
  return { proposal, demands };
}
