import type { Approval } from "#common/approval/approval.ts";
import { DomainError } from "#common/domain-error.ts";
import type { Attestation, Intent } from "#common/intent/intent.ts";
import { isExpired } from "#common/intent/rules.ts";

/** How far a proposal has come, as it is stored. Only OPEN changes, and only once. */
export type StoredState = "OPEN" | "APPROVED" | "REJECTED" | "WITHDRAWN";
/** As it is told: nobody stores that time has passed. */
export type ProposalState = StoredState | "EXPIRED";

/** An intent of the house that was put before approvers. */
export interface NewProposal {
  readonly intent: Intent;
  /** 32 bytes as lower-case `0x` hex. */
  readonly digest: string;
  /** 65 bytes as lower-case `0x` hex, or "". */
  readonly walletSignature: string;
  /** The subject that proposed it. */
  readonly proposer: string;
  /** Who signs it, EIP-55. */
  readonly signer: string;
}

/** A proposal as it stands. */
export interface Proposal extends NewProposal {
  /** Grows with every proposal. */
  readonly number: bigint;
  readonly state: StoredState;
  /** What was decided, oldest first, one an approver. */
  readonly decisions: readonly Approval[];
  /** The approvals that counted when they were enough; empty unless APPROVED. */
  readonly counted: readonly Approval[];
  /** Unix milliseconds. */
  readonly createTimeMs: number;
  readonly closeTimeMs: number | undefined;
  /** Absent unless APPROVED and signed. */
  readonly attestation: Attestation | undefined;
}

/** What changes of a proposal, in one step. */
export interface ProposalStep {
  /** In place of an earlier decision of the same approver. */
  readonly decision?: Approval;
  readonly close?: {
    readonly state: Exclude<StoredState, "OPEN">;
    readonly counted: readonly Approval[];
  };
}

/** Which proposals are listed: of a state, all but the newest down to a number. */
export interface ProposalFilter {
  readonly state: ProposalState | undefined;
  /** Those with a smaller number; undefined: all. */
  readonly before: bigint | undefined;
  /** At most so many. */
  readonly limit: number;
  /** Unix seconds. */
  readonly nowSeconds: bigint;
}

/** Proposals, durable. All reject with RECORDS_UNAVAILABLE. */
export interface ProposalStore {
  /**
   * Binds the intent's id to the digest and stores the proposal, unless the id is bound. Returns the proposal under the id,
   * new or not; or the digest to which the id is bound without one. Throws LIMIT_EXCEEDED if too many are open.
   */
  propose(
    proposal: NewProposal,
    nowSeconds: bigint,
  ): Promise<Proposal | { readonly boundTo: string }>;
  find(intentId: string): Promise<Proposal | undefined>;
  /** The newest first. */
  list(filter: ProposalFilter): Promise<readonly Proposal[]>;
  /**
   * Does one step with a proposal while nobody else can: `next` says which, undefined for none, or throws. Returns the
   * proposal after it. PROPOSAL_NOT_FOUND.
   */
  change(
    intentId: string,
    next: (proposal: Proposal) => ProposalStep | undefined,
  ): Promise<Proposal>;
  /** Approved ones that nobody has signed, and that have not expired. */
  unsigned(nowSeconds: bigint, limit: number): Promise<readonly Proposal[]>;
}

/** How far a proposal has come at an instant of Unix seconds. */
export function stateOf({ state, intent }: Proposal, nowSeconds: bigint): ProposalState {
  return state === "OPEN" && isExpired(intent, nowSeconds) ? "EXPIRED" : state;
}

const texts = {
  OPEN: "waits for its approvers: they decide on it",
  APPROVED: "is approved",
  REJECTED: "is rejected, which is final",
  WITHDRAWN: "is withdrawn",
  EXPIRED: "has expired",
} as const satisfies Record<ProposalState, string>;

/** The refusal of what a proposal is no more, or not yet, open for. */
export function proposalClosed(
  proposal: Proposal,
  nowSeconds: bigint,
): DomainError<"PROPOSAL_CLOSED"> {
  const { intentId } = proposal.intent;
  const state = stateOf(proposal, nowSeconds);
  return new DomainError("PROPOSAL_CLOSED", `the proposal of intent ${intentId} ${texts[state]}`, {
    metadata: { intentId, state },
  });
}

/** The refusal of an id that nobody has proposed. */
export function proposalNotFound(intentId: string): DomainError<"PROPOSAL_NOT_FOUND"> {
  return new DomainError("PROPOSAL_NOT_FOUND", `nobody has proposed an intent ${intentId}`, {
    metadata: { intentId },
  });
}
