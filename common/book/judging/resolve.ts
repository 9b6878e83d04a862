import { DomainError } from "#common/domain-error.ts";
import type { Intent, Posting } from "#common/intent/intent.ts";
import { formatAmount } from "#common/ledger/assets.ts";
import { notAllowed } from "./refusals.ts";

/** True for what posts or voids a pending intent: that is judged by what it resolves, whatever the rules are by now. */
export function resolvesPending({ phase }: Intent): boolean {
  return phase === "POST_PENDING" || phase === "VOID_PENDING";
}

/** POST and VOID resolve a pending intent leg by leg, and nothing else. */
export function checkResolution(intent: Intent, pending: Intent | undefined): void {
  if (pending === undefined || pending.phase !== "PENDING") {
    throw new DomainError(
      "PENDING_NOT_FOUND",
      `intent ${intent.pendingIntentId} is not a stored pending intent`,
      { metadata: { intentId: intent.intentId, pendingIntentId: intent.pendingIntentId } },
    );
  }
  if (intent.postings.length !== pending.postings.length) {
    throw notAllowed(
      Math.min(intent.postings.length, pending.postings.length),
      `the pending intent has ${pending.postings.length} postings`,
    );
  }
  for (const [index, posting] of intent.postings.entries()) {
    const reserved = pending.postings[index];
    if (reserved === undefined) continue;
    checkResolves(intent, posting, reserved, index);
  }
}

function checkResolves(intent: Intent, posting: Posting, reserved: Posting, index: number): void {
  const same =
    posting.debitAccountId === reserved.debitAccountId &&
    posting.creditAccountId === reserved.creditAccountId &&
    posting.ledger === reserved.ledger &&
    posting.code === reserved.code;
  if (!same) {
    throw notAllowed(index, "accounts, asset and code are those of the pending intent's posting");
  }
  if (intent.phase === "VOID_PENDING" && posting.amount !== reserved.amount) {
    throw notAllowed(index, "the amount voided is the amount pending");
  }
  if (posting.amount > reserved.amount) {
    const pendingText = formatAmount(reserved.amount, reserved.ledger);
    throw new DomainError(
      "PENDING_AMOUNT_EXCEEDED",
      `intent.postings[${index}]: ${formatAmount(posting.amount, posting.ledger)} is more than the ${pendingText} pending`,
      {
        metadata: {
          field: `intent.postings[${index}].amount`,
          pendingAmount: reserved.amount.toString(),
          amount: posting.amount.toString(),
        },
      },
    );
  }
}
