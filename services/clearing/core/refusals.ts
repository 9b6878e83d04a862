import { DomainError } from "#common/domain-error.ts";
import type { Intent, Posting } from "#common/intent/intent.ts";
import { formatAmount } from "#common/ledger/assets.ts";
import { findChartAccount } from "#common/ledger/chart.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import type { Attempt } from "./attempt.ts";
import type { LedgerAccount, LegFault, RecordedFailure } from "./ports.ts";

/** The reasons for which an intent dies in the ledger, or can never be other than refused by it. */
const finalFaults: ReadonlySet<LegFault> = new Set<LegFault>([
  "DEBIT_ACCOUNT_NOT_FOUND",
  "CREDIT_ACCOUNT_NOT_FOUND",
  "OVERDRAWN",
  "DEBIT_ACCOUNT_CLOSED",
  "CREDIT_ACCOUNT_CLOSED",
  "PENDING_NOT_FOUND",
  "PENDING_ALREADY_POSTED",
  "PENDING_ALREADY_VOIDED",
  "PENDING_EXPIRED",
]);

/** True if no retry of the intent can ever end otherwise. */
export function isFinal(fault: LegFault): boolean {
  return finalFaults.has(fault);
}

/** The leg that the ledger refused, and what is known about its debited account. */
export interface RefusedLeg {
  readonly intent: Intent;
  readonly leg: number;
  readonly posting: Posting;
  /** The debited account, looked up after the refusal; undefined if it could not be. */
  readonly debited: LedgerAccount | undefined;
}

const pendingTexts = {
  PENDING_NOT_FOUND: "holds no reservation in the ledger",
  PENDING_ALREADY_POSTED: "was posted already",
  PENDING_ALREADY_VOIDED: "was voided already",
  PENDING_EXPIRED: "has expired",
} as const;

/** The refusal for what the ledger found wrong with a leg. */
export function refusalOf(fault: LegFault, refused: RefusedLeg): DomainError {
  const { intent, leg, posting } = refused;
  const { intentId, pendingIntentId } = intent;
  const field = `intent.postings[${leg}]`;
  switch (fault) {
    case "OVERDRAWN":
      return insufficientFunds(refused);
    case "DEBIT_ACCOUNT_NOT_FOUND":
      return accountNotFound(intent, posting.debitAccountId, `${field}.debit_account_id`);
    case "CREDIT_ACCOUNT_NOT_FOUND":
      return accountNotFound(intent, posting.creditAccountId, `${field}.credit_account_id`);
    case "DEBIT_ACCOUNT_CLOSED":
      return accountClosed(intent, leg, posting.debitAccountId);
    case "CREDIT_ACCOUNT_CLOSED":
      return accountClosed(intent, leg, posting.creditAccountId);
    case "PENDING_NOT_FOUND":
    case "PENDING_ALREADY_POSTED":
    case "PENDING_ALREADY_VOIDED":
    case "PENDING_EXPIRED":
      return new DomainError(fault, `intent ${pendingIntentId} ${pendingTexts[fault]}`, {
        metadata: { intentId, pendingIntentId },
      });
    case "BALANCE_OVERFLOW":
      return new DomainError("LIMIT_EXCEEDED", `${field}: the account can hold no more`, {
        metadata: {
          limit: "340282366920938463463374607431768211455",
          what: "balance of an account",
        },
      });
    case "FAULT":
      return new DomainError("INTERNAL", `${field}: the ledger refused the row`);
  }
}

/** What the postings up to a leg take from an account in all: the chain is judged as a whole, and so is its need. */
function takenThrough(intent: Intent, leg: number, accountId: bigint): bigint {
  let taken = 0n;
  for (const posting of intent.postings.slice(0, leg + 1)) {
    if (posting.debitAccountId === accountId) taken += posting.amount;
    if (posting.creditAccountId === accountId) taken -= posting.amount;
  }
  return taken;
}

function insufficientFunds({ intent, leg, posting, debited }: RefusedLeg): DomainError {
  const accountId = posting.debitAccountId;
  const needed = formatAmount(takenThrough(intent, leg, accountId), posting.ledger);
  const name = accountName(intent, accountId, posting.ledger, debited);
  const has =
    debited === undefined
      ? "does not hold"
      : `has ${formatAmount(debited.available, posting.ledger)} available and needs`;
  return new DomainError("INSUFFICIENT_FUNDS", `${name} ${has} ${needed}`, {
    metadata: {
      intentId: intent.intentId,
      leg: String(leg),
      accountId: accountId.toString(),
      ...(debited === undefined ? {} : { available: debited.available.toString() }),
    },
  });
}

/** What people call an account. */
function accountName(
  intent: Intent,
  accountId: bigint,
  ledger: number,
  account?: LedgerAccount,
): string {
  const chartName = findChartAccount(accountId)?.name;
  if (chartName !== undefined) return chartName;
  const owns = accountId === walletAccountId(intent.wallet, ledger);
  const wallet = account?.wallet ?? (owns ? intent.wallet : undefined);
  return wallet === undefined ? `account ${accountId}` : `wallet ${wallet}`;
}

/** The refusal of a posting to or from an account that does not exist. */
export function accountNotFound(intent: Intent, accountId: bigint, field: string): DomainError {
  return new DomainError(
    "ACCOUNT_NOT_FOUND",
    `${field}: there is no account ${accountId}; open the wallet first`,
    { metadata: { intentId: intent.intentId, accountId: accountId.toString(), field } },
  );
}

function accountClosed(intent: Intent, leg: number, accountId: bigint): DomainError {
  const { ledger } = intent.postings[leg] ?? { ledger: 0 };
  return new DomainError("ACCOUNT_CLOSED", `${accountName(intent, accountId, ledger)} is closed`, {
    metadata: { intentId: intent.intentId, leg: String(leg), accountId: accountId.toString() },
  });
}

/** The refusal of an intent whose id stands for another digest; `storedDigest` if that is known. */
export function intentIdReused(
  intentId: string,
  digest: string,
  storedDigest?: string,
): DomainError<"INTENT_ID_REUSED"> {
  return new DomainError("INTENT_ID_REUSED", `intent id ${intentId} stands for another intent`, {
    metadata: { intentId, digest, ...(storedDigest === undefined ? {} : { storedDigest }) },
  });
}

/** The refusal of an intent that died before, by what was recorded first: that stays the answer for ever. */
export function intentFailed(
  intentId: string,
  first: RecordedFailure,
): DomainError<"INTENT_FAILED"> {
  const known = first.reason !== "INTENT_FAILED";
  const firstReason = known ? first.reason : "UNKNOWN";
  return new DomainError(
    "INTENT_FAILED",
    known
      ? `the intent failed before with ${firstReason} and is dead for ever`
      : "the intent failed before and is dead for ever",
    { metadata: { intentId, firstReason } },
  );
}

/** The answer when the time of an attempt is over. */
export function lateRefusal(intentId: string, { refusal, sent }: Attempt): DomainError {
  return refusal ?? (sent ? outcomeUnknown(intentId) : notSent(intentId));
}

/** The answer when the time is over and nothing was sent. */
export function notSent(intentId: string): DomainError<"NOT_SENT"> {
  return new DomainError(
    "NOT_SENT",
    "the deadline passed before anything was sent; nothing happened",
    {
      metadata: { intentId },
    },
  );
}

/** The answer when the time is over and the ledger has not answered. */
function outcomeUnknown(intentId: string): DomainError<"OUTCOME_UNKNOWN"> {
  return new DomainError(
    "OUTCOME_UNKNOWN",
    "the write was sent and not answered in time; repeat the same intent to learn its outcome",
    { metadata: { intentId } },
  );
}

/** The answer when there is time left, and still nobody can tell what became of what was sent. */
export function outcomeUntold(intentId: string, cause?: unknown): DomainError<"OUTCOME_UNKNOWN"> {
  return new DomainError(
    "OUTCOME_UNKNOWN",
    "the write was sent and its outcome cannot be told just now; repeat the same intent to learn it",
    { metadata: { intentId }, early: true, cause },
  );
}
