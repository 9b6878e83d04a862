import { DomainError, type Reason } from "#common/domain-error.ts";

/** Clearing has made final that the intent never clears; or it never can, for another content has its id. */
const dead: ReadonlySet<Reason> = new Set<Reason>([
  "INTENT_EXPIRED",
  "INTENT_FAILED",
  "INTENT_ID_REUSED",
  "INSUFFICIENT_FUNDS",
  "ACCOUNT_CLOSED",
]);

/** What the peers refuse whoever asks and however often: the intent is at fault. */
const refused: ReadonlySet<Reason> = new Set<Reason>([
  ...dead,
  "LIMIT_EXCEEDED",
  "POSTING_NOT_ALLOWED",
  "LEDGERS_DIFFER",
  "INVALID_FIELD",
]);

/** True if the peer will never take this intent as it is. */
export function isRefusal(error: unknown): error is DomainError {
  return error instanceof DomainError && (refused.has(error.kind) || isRevoked(error));
}

/** Nobody has said no: what was asked for may have happened, or may happen when it is asked for again. */
const unanswered: ReadonlySet<Reason> = new Set<Reason>([
  "PAYMENTS_UNAVAILABLE",
  "RECORDS_UNAVAILABLE",
  "LEDGER_UNAVAILABLE",
  "SIGNER_UNAVAILABLE",
  "OUTCOME_UNKNOWN",
  "NOT_SENT",
  "CANCELLED",
  "DRAINING",
  "RATE_LIMITED",
  "EDGE_UNAVAILABLE",
  "EDGE_TIMEOUT",
]);

/** True if whoever was asked has said something that will be the same the next time, or that nobody foresaw. */
export function isAnswer(error: unknown): boolean {
  return !(error instanceof DomainError && unanswered.has(error.kind));
}

/** True if the intent, attested, is dead for ever. */
export function isDead(error: unknown): error is DomainError {
  return error instanceof DomainError && (dead.has(error.kind) || isRevoked(error));
}

/** Clearing fences what a revoked signer has attested before it refuses it. */
function isRevoked({ kind, metadata }: DomainError): boolean {
  return kind === "SIGNER_NOT_TRUSTED" && metadata["state"] === "REVOKED";
}

/** What an intent died of, also when it died before. */
export function causeOfDeath({ kind, metadata }: DomainError): string {
  return kind === "INTENT_FAILED" ? (metadata["firstReason"] ?? kind) : kind;
}

/** True if the same again, under another id and with more time, may clear. */
export function mayPassAgain(error: DomainError): boolean {
  const cause = causeOfDeath(error);
  return isDead(error) && cause !== "INSUFFICIENT_FUNDS" && cause !== "ACCOUNT_CLOSED";
}
