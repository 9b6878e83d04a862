import type { Spend } from "#common/approval/judge.ts";
import type { Policies } from "#common/approval/policy.ts";
import type { Attestation, AttestedIntent } from "#common/intent/intent.ts";
import type { Signers } from "#common/intent/signers.ts";
import type { RecoverAddress } from "#common/intent/verify-attestation.ts";
import type { TransferRow } from "#common/ledger/transfer-rows.ts";
import type { Attempt } from "./attempt.ts";

/** What the ledger did with a chain. */
export type WriteOutcome =
  /** All of it, now. `timestamp`: of the last leg, nanoseconds. */
  | { readonly kind: "CREATED"; readonly timestamp: bigint }
  /** Leg 0 is there already: a replay, or a race that another writer won. A lookup tells. */
  | { readonly kind: "EXISTS" }
  /** A transfer with other content has the id of a leg. */
  | { readonly kind: "OTHER_CONTENT" }
  /** The id of a leg is burned: an earlier attempt or a fence failed, for ever. */
  | { readonly kind: "ALREADY_FAILED" }
  /** The ledger refused a leg, and with it the chain. */
  | { readonly kind: "REFUSED"; readonly leg: number; readonly fault: LegFault };

/** Why the ledger refused a leg. */
export type LegFault =
  | "DEBIT_ACCOUNT_NOT_FOUND"
  | "CREDIT_ACCOUNT_NOT_FOUND"
  | "OVERDRAWN"
  | "DEBIT_ACCOUNT_CLOSED"
  | "CREDIT_ACCOUNT_CLOSED"
  | "PENDING_NOT_FOUND"
  | "PENDING_ALREADY_POSTED"
  | "PENDING_ALREADY_VOIDED"
  | "PENDING_EXPIRED"
  | "BALANCE_OVERFLOW"
  /** A row that no intent of ours becomes: our fault. */
  | "FAULT";

/** What of a chain the ledger holds. */
export type Found =
  /** Every leg, as derived. `timestamp`: of the last leg, nanoseconds. */
  | { readonly kind: "ALL"; readonly timestamp: bigint }
  | { readonly kind: "NONE" }
  /** A leg with other content, or only a part of the legs. */
  | { readonly kind: "OTHER" };

/** An account as the ledger holds it. */
export interface LedgerAccount {
  readonly id: bigint;
  readonly ledger: number;
  /** The wallet that owns it, EIP-55; undefined for the chart's. */
  readonly wallet: string | undefined;
  /** Credits posted less debits posted and pending, in minor units: what a wallet may spend. */
  readonly available: bigint;
  readonly closed: boolean;
}

/** An account to be created. */
export interface NewAccount {
  readonly id: bigint;
  readonly ledger: number;
  /** The number of its class. */
  readonly code: number;
  readonly neverOverdrawn: boolean;
  /** EIP-55; undefined for the chart's. */
  readonly wallet: string | undefined;
}

/** CLOSED: it exists as asked for, but a transfer has closed it. OTHER_CONTENT: another account has the id. */
export type OpenOutcome = "OPENED" | "EXISTED" | "CLOSED" | "OTHER_CONTENT";

/** The ledger, in words of the domain. Concurrent calls share requests; a chain is never split. */
export interface ClearingLedger {
  /** Writes a chain of 1 to 64 rows. Rejects with OUTCOME_UNKNOWN if the request broke. */
  write(rows: readonly TransferRow[], attempt: Attempt): Promise<WriteOutcome>;
  /** Burns a transfer's id. DEAD: it can never be used. TAKEN: a transfer has it. */
  fence(transferId: bigint, attempt: Attempt): Promise<"DEAD" | "TAKEN">;
  /** Looks up every leg of a chain and compares the whole rows. LEDGER_UNAVAILABLE. */
  find(rows: readonly TransferRow[], attempt: Attempt): Promise<Found>;
  /** Looks up accounts; those that do not exist are left out. LEDGER_UNAVAILABLE. */
  accounts(ids: readonly bigint[], attempt: Attempt): Promise<readonly LedgerAccount[]>;
  /** Creates an account. */
  open(account: NewAccount, attempt: Attempt): Promise<OpenOutcome>;
}

/** Why an intent is dead for ever. */
export interface Failure {
  /** The ErrorReason without its prefix. */
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A failure as first recorded. */
export interface RecordedFailure extends Failure {
  /** When, in Unix milliseconds. */
  readonly timeMs: number;
  /** True if the call that returns it has recorded it; false if it stood there before. */
  readonly isNew: boolean;
}

/** Evidence and failures, append-only. Concurrent calls share round trips. All reject with RECORDS_UNAVAILABLE. */
export interface EvidenceStore {
  /**
   * Stores evidence, durable when it resolves, unless the id has some already. Returns the digest that is stored. What it
   * `spends` of the day is counted with it, once; APPROVAL_REQUIRED, and nothing is stored, if the day has not so much left.
   */
  store(evidence: AttestedIntent, attempt: Attempt, spends?: readonly Spend[]): Promise<string>;
  /** Throws APPROVAL_REQUIRED if the day has not so much left. Counts nothing. */
  checkDay(spends: readonly Spend[]): Promise<void>;
  read(intentId: string, attempt: Attempt): Promise<AttestedIntent | undefined>;
  readByDigest(digest: string, attempt: Attempt): Promise<AttestedIntent | undefined>;
  /**
   * Records why an intent failed, unless that is recorded already; undefined if the caller does not know. Evidence
   * must be stored. Returns what was recorded first, if anything.
   */
  recordFailure(
    intentId: string,
    failure: Failure | undefined,
    attempt: Attempt,
  ): Promise<RecordedFailure | undefined>;
  readFailure(intentId: string, attempt: Attempt): Promise<RecordedFailure | undefined>;
}

/** What the Attestor keeps. Concurrent calls share round trips. */
export interface AttestorRecords {
  /** When the Attestor bound an id to this digest, Unix seconds; undefined if it has not. RECORDS_UNAVAILABLE. */
  boundTime(intentId: string, digest: string, attempt: Attempt): Promise<bigint | undefined>;
}

/** Recovers who made an attestation's signatures, but that of a tree, beside the event loop. */
export type RecoverAhead = (attestation: Attestation, attempt: Attempt) => Promise<RecoverAddress>;

/** Everything outside that clearing needs. */
export interface ClearingPorts {
  readonly ledger: ClearingLedger;
  readonly evidence: EvidenceStore;
  readonly attestor: AttestorRecords;
  /** Who made a signature: as recoverAddress. */
  readonly recover: RecoverAddress;
  /** The same for the signatures of trees, each once for many intents: as rememberTrees. */
  readonly recoverTree: RecoverAddress;
  /** The same for many at once; undefined where there is no second core to do it on. */
  readonly recoverAhead: RecoverAhead | undefined;
  /** The signers, as of now. */
  readonly signers: () => Signers;
  /** What needs approval, as of now. */
  readonly policies: () => Policies;
  /** Unix seconds. */
  readonly nowSeconds: () => bigint;
  /**
   * Throws LEDGER_UNAVAILABLE while the ledger is not the one that the records belong to, or answers nothing. Asked
   * before each step that leaves something behind, so that who is refused can rely on it that nothing was sent.
   */
  readonly requireLedger: () => void;
  /** Tells those who listen that something was committed. Never waits, never throws. */
  readonly announce: () => void;
  /** Hears of faults that no answer carries. */
  readonly onFault: (error: unknown, message: string) => void;
}
