import type { AccountClass } from "#common/ledger/chart.ts";

/** Somebody who may approve. */
export interface Approver {
  /** EIP-55. */
  readonly address: string;
  /** The subject of this person's tokens, or "". */
  readonly subject: string;
}

/** What of one asset passes without approval, in minor units. */
export interface FreeAmount {
  /** The sum of an intent from which on approval is needed. */
  readonly from: bigint;
  /** The sum of a day, the intent in it, from which on it is needed. */
  readonly fromADay: bigint;
}

/** A rule of a policy: sovr.book.v1.ApprovalRule. */
export interface ApprovalRule {
  readonly name: string;
  /** Of the posting rules that it looks at. */
  readonly codes: ReadonlySet<number>;
  /** Undefined: whatever account is debited. */
  readonly debitClasses: ReadonlySet<AccountClass> | undefined;
  /** By ledger. Of an asset that is not there nothing passes. */
  readonly amounts: ReadonlyMap<number, FreeAmount>;
  readonly needs: number;
  /** By address. */
  readonly approvers: ReadonlyMap<string, Approver>;
  readonly proposerCounts: boolean;
}

/** What needs approval from an instant on. */
export interface PolicyVersion {
  /** Unix seconds. */
  readonly activeFrom: bigint;
  /** Empty: nothing does. */
  readonly rules: readonly ApprovalRule[];
}

/** Every policy that ever was, oldest first. */
export interface Policies {
  readonly versions: readonly PolicyVersion[];
  /** From when on an address approves nothing any more, Unix seconds, whatever version names it. */
  readonly revokeTimes: ReadonlyMap<string, bigint>;
}

/** Where there is no policy, nothing needs approval. */
export const noPolicies: Policies = Object.freeze({ versions: [], revokeTimes: new Map() });

const noRules: readonly ApprovalRule[] = [];

/** The rules that hold for intents issued at an instant of Unix seconds. */
export function rulesAt({ versions }: Policies, issueTime: bigint): readonly ApprovalRule[] {
  for (let index = versions.length - 1; index >= 0; index -= 1) {
    const version = versions[index];
    if (version !== undefined && version.activeFrom <= issueTime) return version.rules;
  }
  return noRules;
}
