import { type Caller, requireOwnWallet, requireUnbound } from "#common/caller.ts";
import type { CallLimit } from "#common/deadline.ts";
import { DomainError } from "#common/domain-error.ts";
import type { Intent } from "#common/intent/intent.ts";
import { authorityOf, refersToPending } from "#common/intent/posting-rules.ts";
import { type AccountDirectory, createAccountDirectory } from "./account-directory.ts";
import { type Attempt, isOver, withinLimit } from "./attempt.ts";
import { clearIntent } from "./clear-intent.ts";
import type { Clearing, ClearRequest } from "./clearing.ts";
import { type OpenedWallet, openWallet } from "./open-wallet.ts";
import type { ClearingPorts, RecoverAhead } from "./ports.ts";
import { limitPostingsUnderWay, type ReservePostings } from "./postings-under-way.ts";
import { type ReadClearing, readClearing } from "./read-clearing.ts";
import { lateRefusal, notSent } from "./refusals.ts";
import { type Rules, verifyRequest } from "./verify.ts";

/** The clearing house. None of its answers outlasts the call's limit: then it is NOT_SENT or OUTCOME_UNKNOWN. */
export interface ClearingHouse {
  /** Clears an intent. Throws why it did not clear; RATE_LIMITED if too much is under way already. */
  clear(request: ClearRequest, caller: Caller, limit: CallLimit): Promise<Clearing>;
  /**
   * As `clear`, of a list: its postings are reserved already, and whoever made the attempt gives it up when the time is
   * over. Until then it waits.
   */
  clearIn(attempt: Attempt, request: ClearRequest, caller: Caller): Promise<Clearing>;
  /** Counts postings with those of `clear`, for intents that are cleared together or elsewhere. */
  readonly reserve: ReservePostings;
  /** Throws LEDGER_UNAVAILABLE while nothing may be sent to the ledger. */
  readonly requireLedger: () => void;
  /** What became of an intent: as readClearing. */
  read(intentId: string, caller: Caller, limit: CallLimit): Promise<ReadClearing>;
  /** Opens a wallet's account: as openWallet. */
  openWallet(
    wallet: string,
    ledger: number,
    caller: Caller,
    limit: CallLimit,
  ): Promise<OpenedWallet>;
  /** True if nothing is being cleared here and nothing was in the last second. */
  isIdle(): boolean;
}

/** How long after an intent more may come, in milliseconds. */
const idleAfterMs = 1_000;
/** From how many intents at once on other threads check signatures: fewer take less time than the threads' answer. */
const recoverAheadMin = 8;

/** Makes the clearing house. */
export function createClearing(rules: Rules, ports: ClearingPorts): ClearingHouse {
  const accounts = createAccountDirectory(ports.ledger);
  const house: House = { rules, ports, accounts };
  const walletPorts = { ledger: ports.ledger, announce: ports.announce, accounts };
  const reserve = limitPostingsUnderWay();
  let underWay = 0;
  let lastMs = Number.NEGATIVE_INFINITY;

  const clear: ClearingHouse["clear"] = async (request, caller, limit) => {
    const { intentId, postings } = request.intent;
    if (isOver(limit)) throw notSent(intentId);
    const ended = reserve(postings.length);
    underWay += 1;
    lastMs = performance.now();
    const recoverAhead = underWay >= recoverAheadMin ? ports.recoverAhead : undefined;
    const work = async (attempt: Attempt) => {
      try {
        return await clearOne(house, request, caller, attempt, recoverAhead);
      } finally {
        ended(postings.length);
      }
    };
    try {
      return await withinLimit(limit, work, (attempt) => lateRefusal(intentId, attempt));
    } finally {
      underWay -= 1;
    }
  };

  return {
    clear,
    clearIn: (attempt, request, caller) => clearOne(house, request, caller, attempt, undefined),
    reserve,
    requireLedger: ports.requireLedger,
    read: (intentId, caller, limit) =>
      withinLimit(
        limit,
        async (attempt) => {
          ports.requireLedger();
          return readClearing(ports, intentId, caller, attempt);
        },
        (attempt) => lateCall({ intentId }, attempt),
      ),
    openWallet: (wallet, ledger, caller, limit) =>
      withinLimit(
        limit,
        async (attempt) => {
          ports.requireLedger();
          return openWallet(walletPorts, wallet, ledger, caller, attempt);
        },
        (attempt) => lateCall({}, attempt),
      ),
    isIdle: () => underWay === 0 && performance.now() - lastMs >= idleAfterMs,
  };
}

interface House {
  readonly rules: Rules;
  readonly ports: ClearingPorts;
  readonly accounts: AccountDirectory;
}

/** The order of things in Clear: whose it is, whether it is genuine, and then accounts, evidence, ledger. */
async function clearOne(
  { rules, ports, accounts }: House,
  request: ClearRequest,
  caller: Caller,
  attempt: Attempt,
  recoverAhead: RecoverAhead | undefined,
): Promise<Clearing> {
  const { intent, validateOnly } = request;
  requireOwnWallet(caller, intent.wallet);
  requireNoHouse(caller, intent);
  ports.requireLedger();
  const verified = await verifyRequest(request, rules, ports, attempt, recoverAhead);
  const step = { ports, accounts, evidence: request, verified, validateOnly, attempt };
  const { state, rows, timestamp, replayed } = await clearIntent(step);
  return {
    intentId: intent.intentId,
    digest: verified.digest,
    phase: intent.phase,
    state,
    transferIds: rows.map((row) => row.id),
    commitTimestamp: timestamp,
    replayed,
    failure: undefined,
  };
}

/**
 * A bound credential clears what its wallet authorises, and never what the house does, whoever has attested it: no
 * POST or VOID, and no money that comes from the house. Throws SCOPE_MISSING.
 */
function requireNoHouse(caller: Caller, intent: Intent): void {
  if (caller.wallet === undefined) return;
  const { phase } = intent;
  if (refersToPending(intent)) requireUnbound(caller, `${phase} is the house's`);
  if (needsHouse(intent)) requireUnbound(caller, "the house clears what it authorises");
}

/** Postings that break the rules are nobody's to authorise; their refusal comes with the other checks. */
function needsHouse(intent: Intent): boolean {
  try {
    return authorityOf(intent).house;
  } catch (error) {
    if (error instanceof DomainError) return false;
    throw error;
  }
}

/** What is known when the time of a call is over that clears nothing. */
function lateCall(metadata: Readonly<Record<string, string>>, { sent }: Attempt): Error {
  return sent
    ? new DomainError("OUTCOME_UNKNOWN", "the ledger did not answer in time; call again", {
        metadata,
      })
    : new DomainError("NOT_SENT", "the deadline passed; nothing happened", { metadata });
}
