import { zeroWallet } from "#common/address.ts";
import type { Caller } from "#common/caller.ts";
import { type CallLimit, raceDeadline } from "#common/deadline.ts";
import { asError, DomainError, invalidField } from "#common/domain-error.ts";
import type { AttestedIntent, Phase } from "#common/intent/intent.ts";
import { findAsset } from "#common/ledger/assets.ts";
import { accountClasses, classRules } from "#common/ledger/chart.ts";
import { transferRows } from "#common/ledger/transfer-rows.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { type AccountDirectory, createAccountDirectory } from "./account-directory.ts";
import { Attempt } from "./attempt.ts";
import { type Cleared, clearIntent } from "./clear-intent.ts";
import type { ClearingPorts, Found, RecoverAhead } from "./ports.ts";
import { limitPostingsUnderWay, type ReservePostings } from "./postings-under-way.ts";
import { notSent, outcomeUnknown } from "./refusals.ts";
import { type Rules, type VerifiedIntent, verifyRequest } from "./verify.ts";

/** The outcome of clearing one intent. */
export interface Clearing {
  readonly intentId: string;
  readonly digest: string;
  readonly phase: Phase;
  readonly state: "CLEARED" | "FAILED" | "UNKNOWN" | "VALIDATED";
  /** u128, in the postings' order. */
  readonly transferIds: readonly bigint[];
  /** Of the last leg, nanoseconds; 0 unless CLEARED. */
  readonly commitTimestamp: bigint;
  readonly replayed: boolean;
  /** Set if FAILED. `reason`: the ErrorReason without its prefix. `timeMs`: Unix milliseconds. */
  readonly failure: { readonly reason: string; readonly timeMs: number } | undefined;
}

export interface ClearRequest extends AttestedIntent {
  /** True: make every check, store nothing and move nothing. */
  readonly validateOnly: boolean;
}

export type { Caller };

/** A clearing, or why there is none: a DomainError, or any other Error for a fault of ours. */
export type ClearResult = Clearing | Error;

/** The clearing house. */
export interface ClearingHouse {
  /**
   * Clears intents, each for itself, and answers in their order. It never outlasts the limit: what is not finished
   * then is answered with NOT_SENT or OUTCOME_UNKNOWN. Throws RATE_LIMITED if too much is under way already.
   */
  clear(
    requests: readonly ClearRequest[],
    caller: Caller,
    limit: CallLimit,
  ): Promise<readonly ClearResult[]>;
  /** A clearing and its evidence. INTENT_NOT_FOUND only if there is no evidence, or it is not the caller's. */
  read(
    intentId: string,
    caller: Caller,
    limit: CallLimit,
  ): Promise<{ readonly clearing: Clearing; readonly evidence: AttestedIntent }>;
  /** Opens a wallet's account. `wallet`: EIP-55. INVALID_FIELD, SCOPE_MISSING. */
  openWallet(
    wallet: string,
    ledger: number,
    caller: Caller,
    limit: CallLimit,
  ): Promise<{ readonly accountId: bigint; readonly opened: boolean }>;
  /** Counts the postings of a call that is cleared on other threads with those of `clear`. */
  readonly reserve: ReservePostings;
  /** True if nothing is being cleared here and nothing was in the last second. */
  isIdle(): boolean;
}

/** How many intents of a call are looked at before others get their turn: one or two milliseconds of work. */
const turnIntents = 16;
/** How long after a call more may come, in milliseconds. */
const idleAfterMs = 1_000;
/** From how many intents at once on other threads check signatures: fewer take less time than the threads' answer. */
const recoverAheadMin = 8;

/** Makes the clearing house. */
export function createClearing(rules: Rules, ports: ClearingPorts): ClearingHouse {
  const house: House = { rules, ports, accounts: createAccountDirectory(ports.ledger) };
  const reserve = limitPostingsUnderWay();
  let callsUnderWay = 0;
  let lastCallMs = Number.NEGATIVE_INFINITY;
  return {
    clear: async (requests, caller, limit) => {
      const ended = reserve(requests.reduce((sum, { intent }) => sum + intent.postings.length, 0));
      callsUnderWay += 1;
      lastCallMs = performance.now();
      const many = Math.max(requests.length, callsUnderWay) >= recoverAheadMin;
      const call = new ClearCall(house, caller, requests, many, ({ intent }) =>
        ended(intent.postings.length),
      );
      return call.run(limit).finally(() => {
        callsUnderWay -= 1;
      });
    },
    read: (intentId, caller, limit) =>
      withinLimit(limit, intentId, (attempt) => readClearing(ports, intentId, caller, attempt)),
    openWallet: (wallet, ledger, caller, limit) =>
      withinLimit(limit, undefined, (attempt) =>
        openWallet(house, wallet, ledger, caller, attempt),
      ),
    reserve,
    isIdle: () => callsUnderWay === 0 && performance.now() - lastCallMs >= idleAfterMs,
  };
}

interface House {
  readonly rules: Rules;
  readonly ports: ClearingPorts;
  readonly accounts: AccountDirectory;
}

/** The intents of one call, each on its own way under one deadline. */
class ClearCall {
  readonly #house: House;
  readonly #caller: Caller;
  readonly #requests: readonly ClearRequest[];
  /** Hears of each request that needs nothing any more. */
  readonly #onEnd: (request: ClearRequest) => void;
  readonly #attempts: Attempt[];
  readonly #recoverAhead: RecoverAhead | undefined;
  /** True once nobody waits for the answer any more: what is not on its way then stays where it is. */
  #isOver = false;
  /** How many of the requests have set out. */
  #started = 0;
  readonly #results: (ClearResult | undefined)[] = [];
  /** Intents that stand in the call more than once go their way once. */
  readonly #twins = new Map<string, { attempt: Attempt; cleared: Promise<Cleared> }>();

  constructor(
    house: House,
    caller: Caller,
    requests: readonly ClearRequest[],
    recoversAhead: boolean,
    onEnd: (request: ClearRequest) => void,
  ) {
    this.#house = house;
    this.#caller = caller;
    this.#requests = requests;
    this.#onEnd = onEnd;
    this.#attempts = requests.map(() => new Attempt());
    this.#recoverAhead = recoversAhead ? house.ports.recoverAhead : undefined;
  }

  /** Never rejects. What is still under way when the time is over ends by itself, and its result is dropped. */
  async run(limit: CallLimit): Promise<readonly ClearResult[]> {
    const late = new Error("the time of the call is over");
    this.#isOver = limit.signal?.aborted === true || Date.now() >= limit.deadlineMs;
    try {
      await raceDeadline(this.#clearAll(), limit, () => late);
    } catch (error) {
      if (error !== late) throw error;
    }
    this.#isOver = true;
    for (const attempt of this.#attempts) attempt.abandon();
    for (const request of this.#requests.slice(this.#started)) this.#onEnd(request);
    return this.#requests.map(
      (request, index) => this.#results[index] ?? this.#lateResult(request, index),
    );
  }

  #lateResult({ intent }: ClearRequest, index: number): Error {
    const attempt = this.#attempts[index];
    if (attempt?.refusal !== undefined) return attempt.refusal;
    return attempt?.sent === true ? outcomeUnknown(intent.intentId) : notSent(intent.intentId);
  }

  async #clearAll(): Promise<void> {
    const all: Promise<void>[] = [];
    for (const [index, request] of this.#requests.entries()) {
      if (this.#isOver) break;
      this.#started += 1;
      all.push(this.#clearOne(request, index));
      if (index % turnIntents === turnIntents - 1) await this.#house.ports.giveWay();
    }
    await Promise.all(all);
  }

  async #clearOne(request: ClearRequest, index: number): Promise<void> {
    try {
      this.#results[index] = await this.#clear(request, index);
    } catch (error) {
      this.#results[index] = asError(error);
    } finally {
      this.#onEnd(request);
    }
  }

  async #clear(request: ClearRequest, index: number): Promise<Clearing> {
    const attempt = this.#attempts[index] ?? new Attempt();
    requireOwnWallet(this.#caller, request.intent.wallet);
    const { rules, ports } = this.#house;
    const verified = await verifyRequest(request, rules, ports, attempt, this.#recoverAhead);
    const cleared = await this.#clearOnce(request, index, verified, attempt);
    return {
      ...identityOf(request, verified.digest),
      state: cleared.state,
      transferIds: cleared.rows.map((row) => row.id),
      commitTimestamp: cleared.timestamp,
      replayed: cleared.replayed,
      failure: undefined,
    };
  }

  #clearOnce(
    evidence: ClearRequest,
    index: number,
    verified: VerifiedIntent,
    attempt: Attempt,
  ): Promise<Cleared> {
    const key = `${verified.digest}${evidence.validateOnly}`;
    const twin = this.#twins.get(key);
    if (twin !== undefined) {
      this.#attempts[index] = twin.attempt;
      return twin.cleared;
    }
    const { ports, accounts } = this.#house;
    const { validateOnly } = evidence;
    const cleared = clearIntent({ ports, accounts, evidence, verified, validateOnly, attempt });
    this.#twins.set(key, { attempt, cleared });
    return cleared;
  }
}

function identityOf({ intent }: AttestedIntent, digest: string) {
  return { intentId: intent.intentId, digest, phase: intent.phase };
}

function requireOwnWallet(caller: Caller, wallet: string): void {
  if (caller.wallet === undefined || caller.wallet === wallet) return;
  throw new DomainError("SCOPE_MISSING", `the token is bound to the wallet ${caller.wallet}`, {
    metadata: { wallet: caller.wallet },
  });
}

/** Runs something that is not an intent's clearing under a deadline. */
async function withinLimit<T>(
  limit: CallLimit,
  intentId: string | undefined,
  work: (attempt: Attempt) => Promise<T>,
): Promise<T> {
  const attempt = new Attempt();
  const metadata = intentId === undefined ? {} : { intentId };
  try {
    return await raceDeadline(work(attempt), limit, () =>
      attempt.sent
        ? new DomainError("OUTCOME_UNKNOWN", "the ledger did not answer in time; call again", {
            metadata,
          })
        : new DomainError("NOT_SENT", "the deadline passed; nothing happened", { metadata }),
    );
  } finally {
    attempt.abandon();
  }
}

async function readClearing(
  ports: ClearingPorts,
  intentId: string,
  caller: Caller,
  attempt: Attempt,
): Promise<{ clearing: Clearing; evidence: AttestedIntent }> {
  const evidence = await ports.evidence.read(intentId, attempt);
  const isForeign = caller.wallet !== undefined && caller.wallet !== evidence?.intent.wallet;
  if (evidence === undefined || isForeign) {
    throw new DomainError("INTENT_NOT_FOUND", `there is no intent ${intentId}`, {
      metadata: { intentId },
    });
  }
  const { digest } = evidence.attestation;
  const rows = transferRows(evidence.intent, digest);
  // The ledger first: what it holds is true whatever is recorded elsewhere.
  const found = await ports.ledger.find(rows, attempt);
  const failure = await failureOf(ports, found, intentId, attempt);
  const clearing: Clearing = {
    ...identityOf(evidence, digest),
    state: found.kind === "ALL" ? "CLEARED" : failure === undefined ? "UNKNOWN" : "FAILED",
    transferIds: rows.map((row) => row.id),
    commitTimestamp: found.kind === "ALL" ? found.timestamp : 0n,
    replayed: found.kind === "ALL",
    failure,
  };
  return { clearing, evidence };
}

/** Why an intent is dead, if that is known. Foreign transfers under its ids are a reason that nothing can take away. */
async function failureOf(
  ports: ClearingPorts,
  found: Found,
  intentId: string,
  attempt: Attempt,
): Promise<Clearing["failure"]> {
  if (found.kind === "ALL") return undefined;
  const recorded = await ports.evidence.readFailure(intentId, attempt);
  if (recorded !== undefined) return { reason: recorded.reason, timeMs: recorded.timeMs };
  if (found.kind === "NONE") return undefined;
  return { reason: "INTENT_ID_REUSED", timeMs: 0 };
}

async function openWallet(
  house: House,
  wallet: string,
  ledger: number,
  caller: Caller,
  attempt: Attempt,
): Promise<{ accountId: bigint; opened: boolean }> {
  if (wallet === zeroWallet) {
    throw invalidField("wallet", "wallet.zero", "must not be the zero address");
  }
  if (findAsset(ledger) === undefined) {
    throw invalidField("ledger", "wallet.ledger", `there is no asset ${ledger}`);
  }
  requireOwnWallet(caller, wallet);
  const id = walletAccountId(wallet, ledger);
  const { neverOverdrawn } = classRules.WALLET;
  const account = { id, ledger, code: accountClasses.WALLET, neverOverdrawn, wallet };
  const outcome = await house.ports.ledger.open(account, attempt);
  if (outcome === "OTHER_CONTENT") throw new Error(`account ${id} is not ${wallet}'s`);
  house.accounts.add(id, ledger);
  if (outcome === "OPENED") house.ports.announce();
  return { accountId: id, opened: outcome === "OPENED" };
}
