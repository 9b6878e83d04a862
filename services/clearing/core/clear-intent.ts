import { setTimeout as sleep } from "node:timers/promises";
import { judgeApprovals, type Spend } from "#common/approval/judge.ts";
import { DomainError } from "#common/domain-error.ts";
import type { AttestedIntent, Intent } from "#common/intent/intent.ts";
import { type TransferRow, transferRows } from "#common/ledger/transfer-rows.ts";
import type { AccountDirectory } from "./account-directory.ts";
import { Attempt } from "./attempt.ts";
import type { ClearingPorts, LegFault } from "./ports.ts";
import {
  accountNotFound,
  intentFailed,
  intentIdReused,
  isFinal,
  outcomeUntold,
  refusalOf,
} from "./refusals.ts";
import type { VerifiedIntent } from "./verify.ts";

/** One verified intent on its way to the ledger. */
export interface ClearingStep {
  readonly ports: ClearingPorts;
  readonly accounts: AccountDirectory;
  readonly evidence: AttestedIntent;
  readonly verified: VerifiedIntent;
  readonly validateOnly: boolean;
  readonly attempt: Attempt;
}

/** How a clearing ended well. */
export interface Cleared {
  readonly state: "CLEARED" | "VALIDATED";
  readonly rows: readonly TransferRow[];
  /** The ledger's timestamp of the last leg, nanoseconds; 0 with VALIDATED. */
  readonly timestamp: bigint;
  readonly replayed: boolean;
}

/** Clears a verified intent: accounts, evidence, write; or, if it comes too late, what that demands. */
export async function clearIntent(step: ClearingStep): Promise<Cleared> {
  const { attempt, evidence } = step;
  const rows = transferRows(evidence.intent, step.verified.digest);
  try {
    if (step.verified.late !== undefined) return await clearLate(step, rows, step.verified.late);
    await checkAccounts(step, evidence.intent);
    if (step.validateOnly) return await validated(step, rows);
    await storeEvidence(step);
    return await write(step, rows);
  } catch (error) {
    // What cannot be read after something was sent is not "unavailable, nothing happened".
    if (attempt.sent && isUnavailable(error)) throw outcomeUntold(evidence.intent.intentId, error);
    throw error;
  }
}

function isUnavailable(error: unknown): boolean {
  return (
    error instanceof DomainError &&
    (error.kind === "LEDGER_UNAVAILABLE" || error.kind === "OUTCOME_UNKNOWN")
  );
}

/**
 * An intent that is genuine and may not clear any more. What cleared before is answered for ever with the first
 * result. Otherwise it is fenced before it is refused, so that a write of it that is still under way anywhere cannot
 * commit after the refusal: only this makes a successor safe.
 */
async function clearLate(
  step: ClearingStep,
  rows: readonly TransferRow[],
  late: NonNullable<VerifiedIntent["late"]>,
): Promise<Cleared> {
  const replay = await findReplay(step, rows);
  if (replay !== undefined) return replay;
  if (!late.kills || step.validateOnly) throw late.why;
  const isRecorded = await reserveId(step, late.why);
  const [first] = rows;
  if (first === undefined) throw new Error("an intent without postings passed the checks");
  const fence = await step.ports.ledger.fence(first.id, step.attempt);
  if (fence === "TAKEN") {
    const won = await findReplay(step, rows);
    if (won !== undefined) return won;
    throw new Error(`transfer ${first.id} is taken and cannot be found`);
  }
  step.attempt.refusal = late.why;
  if (isRecorded) await recordFailure(step, late.why);
  throw late.why;
}

/**
 * Sees to it that no other intent owns the id, for the fence would kill that one. Returns whether evidence is stored
 * now. A revoked signer's key may be a thief's: what it signed is not made evidence.
 */
async function reserveId(step: ClearingStep, why: DomainError): Promise<boolean> {
  if (why.kind === "INTENT_EXPIRED" && (await storedIfApproved(step))) return true;
  const { intentId } = step.evidence.intent;
  const stored = await step.ports.evidence.read(intentId, step.attempt);
  checkSameDigest(step, stored?.attestation.digest);
  return stored !== undefined;
}

/** What lacks approvals does not become evidence, also not of an intent that is dead. */
async function storedIfApproved(step: ClearingStep): Promise<boolean> {
  try {
    await storeEvidence(step);
    return true;
  } catch (error) {
    const lacks = error instanceof DomainError && unapproved.has(error.kind);
    if (lacks) return false;
    throw error;
  }
}

const unapproved: ReadonlySet<string> = new Set(["APPROVAL_REQUIRED", "APPROVAL_REJECTED"]);

async function findReplay(
  step: ClearingStep,
  rows: readonly TransferRow[],
): Promise<Cleared | undefined> {
  const found = await step.ports.ledger.find(rows, step.attempt);
  switch (found.kind) {
    case "ALL":
      return { state: "CLEARED", rows, timestamp: found.timestamp, replayed: true };
    case "NONE":
      return undefined;
    case "OTHER":
      throw intentIdReused(step.evidence.intent.intentId, step.verified.digest);
  }
}

/** An unknown account is refused before the write, which would burn the intent. */
async function checkAccounts(step: ClearingStep, intent: Intent): Promise<void> {
  const ids = new Set<bigint>();
  for (const posting of intent.postings)
    ids.add(posting.debitAccountId).add(posting.creditAccountId);
  const ledgers = await step.accounts.ledgersOf([...ids], step.attempt);
  for (const [index, posting] of intent.postings.entries()) {
    const field = `intent.postings[${index}]`;
    for (const [name, id] of [
      ["debit_account_id", posting.debitAccountId],
      ["credit_account_id", posting.creditAccountId],
    ] as const) {
      const ledger = ledgers.get(id);
      if (ledger === undefined) throw accountNotFound(intent, id, `${field}.${name}`);
      if (ledger === posting.ledger) continue;
      throw new DomainError(
        "LEDGERS_DIFFER",
        `${field}: account ${id} belongs to ledger ${ledger}, the posting to ${posting.ledger}`,
        { metadata: { field, ledger: String(posting.ledger), accountLedger: String(ledger) } },
      );
    }
  }
}

async function validated(step: ClearingStep, rows: readonly TransferRow[]): Promise<Cleared> {
  const { intentId } = step.evidence.intent;
  const stored = await step.ports.evidence.read(intentId, step.attempt);
  checkSameDigest(step, stored?.attestation.digest);
  const failure = stored && (await step.ports.evidence.readFailure(intentId, step.attempt));
  if (failure !== undefined) throw intentFailed(intentId, failure);
  if (stored === undefined) await step.ports.evidence.checkDay(judge(step));
  return { state: "VALIDATED", rows, timestamp: 0n, replayed: false };
}

async function storeEvidence(step: ClearingStep): Promise<void> {
  const { evidence, requireLedger } = step.ports;
  requireLedger();
  let spends: readonly Spend[];
  try {
    spends = judge(step);
  } catch (refusal) {
    // What is stored was judged then: an approval that has expired since changes nothing about it.
    const stored = await evidence.read(step.evidence.intent.intentId, step.attempt);
    if (stored === undefined) throw refusal;
    checkSameDigest(step, stored.attestation.digest);
    return;
  }
  checkSameDigest(step, await evidence.store(step.evidence, step.attempt, spends));
}

/** What the intent takes of the day. Throws APPROVAL_REQUIRED, APPROVAL_REJECTED. */
function judge({ evidence, verified, ports }: ClearingStep): readonly Spend[] {
  const { demands } = verified;
  if (demands.length === 0) return [];
  const { approvals = [] } = evidence.attestation;
  const by = { policies: ports.policies(), nowSeconds: ports.nowSeconds() };
  return judgeApprovals(evidence.intent, demands, approvals, by);
}

function checkSameDigest(step: ClearingStep, storedDigest: string | undefined): void {
  const { digest } = step.verified;
  if (storedDigest === undefined || storedDigest === digest) return;
  throw intentIdReused(step.evidence.intent.intentId, digest, storedDigest);
}

async function write(step: ClearingStep, rows: readonly TransferRow[]): Promise<Cleared> {
  const { intentId } = step.evidence.intent;
  const outcome = await step.ports.ledger.write(rows, step.attempt);
  switch (outcome.kind) {
    case "CREATED":
      step.ports.announce();
      return { state: "CLEARED", rows, timestamp: outcome.timestamp, replayed: false };
    case "EXISTS": {
      const replay = await findReplay(step, rows);
      if (replay !== undefined) return replay;
      throw new Error(`intent ${intentId} exists and cannot be found`);
    }
    case "OTHER_CONTENT":
      throw intentIdReused(intentId, step.verified.digest);
    case "ALREADY_FAILED":
      throw await alreadyFailed(step);
    case "REFUSED":
      throw await refused(step, outcome.leg, outcome.fault);
  }
}

/** Milliseconds between looks for the reason of a failure that somebody may be recording at this moment. */
const reasonDelaysMs = [10, 40, 150] as const;

/**
 * The intent is dead; the answer is why, or that it cannot be told yet: whoever saw it die may still be recording the
 * reason, and an answer without it would be another one later.
 */
async function alreadyFailed(step: ClearingStep): Promise<DomainError> {
  const { intentId } = step.evidence.intent;
  let first = await recordFailure(step, undefined);
  for (const delayMs of reasonDelaysMs) {
    if (first !== undefined || step.attempt.abandoned) break;
    await sleep(delayMs);
    first = await recordFailure(step, undefined);
  }
  return first === undefined ? outcomeUntold(intentId) : intentFailed(intentId, first);
}

async function refused(step: ClearingStep, leg: number, fault: LegFault): Promise<DomainError> {
  const { intent } = step.evidence;
  const posting = intent.postings[leg];
  if (posting === undefined) throw new Error(`the ledger refused leg ${leg} of ${intent.intentId}`);
  const withoutBalance = refusalOf(fault, { intent, leg, posting, debited: undefined });
  step.attempt.refusal = withoutBalance;
  step.accounts.forget(posting.debitAccountId);
  step.accounts.forget(posting.creditAccountId);
  const refusal =
    fault === "OVERDRAWN"
      ? refusalOf(fault, { intent, leg, posting, debited: await debitedAccount(step, leg) })
      : withoutBalance;
  step.attempt.refusal = refusal;
  if (!isFinal(fault)) return refusal;
  const first = await recordFailure(step, refusal);
  // A dead chain may meet another fault on another leg each time; the first is the one that killed it.
  return first === undefined || first.isNew ? refusal : intentFailed(intent.intentId, first);
}

/** For the message only, so a ledger that cannot be read costs no more than the balance in it. */
async function debitedAccount(step: ClearingStep, leg: number) {
  const id = step.evidence.intent.postings[leg]?.debitAccountId;
  if (id === undefined) return undefined;
  try {
    const [account] = await step.ports.ledger.accounts([id], step.attempt);
    return account;
  } catch {
    return undefined;
  }
}

/** The failure stands in the ledger whatever happens here; a record that is lost costs the reason, later. */
async function recordFailure(step: ClearingStep, refusal: DomainError | undefined) {
  const { intentId } = step.evidence.intent;
  const failure = refusal && { reason: refusal.kind, metadata: refusal.metadata };
  try {
    // Also when nobody waits for the answer any more, so under an attempt of its own.
    return await step.ports.evidence.recordFailure(intentId, failure, new Attempt());
  } catch (error) {
    step.ports.onFault(error, "a failure could not be recorded");
    return undefined;
  }
}
