import type { Intent } from "#common/intent/intent.ts";
import type { ClearRequest } from "../../../services/clearing/core/clearing.ts";

/** What the model expects of one call: the state or the reason, and for a clearing whether it is a replay. */
export interface Expected {
  readonly kind: string;
  readonly replayed?: boolean;
  readonly firstReason?: string;
}

interface Known {
  readonly digest: string;
  cleared: boolean;
  /** Set once no transfer of it can ever exist. */
  failure: string | undefined;
  /** For PENDING: what became of it. */
  resolved: "POSTED" | "VOIDED" | undefined;
}

/** Clearing on one page: intents, one wallet's money, and what the contract says about each next call. */
export class ClearingModel {
  /** Minor units that the wallet may spend. */
  available = 0n;
  readonly #known = new Map<string, Known>();

  /** The evidence alone was stored: a process died before it wrote. */
  storeEvidence(request: ClearRequest): void {
    const { intentId } = request.intent;
    if (!this.#known.has(intentId)) this.#known.set(intentId, newKnown(request));
  }

  /** Whether the evidence of an intent is stored. */
  isKnown(intentId: string): boolean {
    return this.#known.has(intentId);
  }

  /** What GetClearing must say. */
  stateOf(intentId: string): string {
    const known = this.#known.get(intentId);
    if (known === undefined) return "INTENT_NOT_FOUND";
    if (known.cleared) return "CLEARED";
    return known.failure === undefined ? "UNKNOWN" : "FAILED";
  }

  /** What Clear must answer at a replica whose clock says `nowSeconds`; and does it. */
  clear(request: ClearRequest, nowSeconds: bigint): Expected {
    const { intent, attestation } = request;
    if (resolves(intent) && !this.#known.has(intent.pendingIntentId)) {
      return { kind: "PENDING_NOT_FOUND" };
    }
    const isLate = nowSeconds >= intent.expireTime;
    if (!isLate && intent.issueTime > nowSeconds + 300n) return { kind: "INTENT_NOT_YET_VALID" };
    const known = this.#known.get(intent.intentId) ?? newKnown(request);
    if (known.digest !== attestation.digest) return { kind: "INTENT_ID_REUSED" };
    this.#known.set(intent.intentId, known);
    if (known.cleared) return { kind: "CLEARED", replayed: true };
    if (isLate) {
      known.failure ??= "INTENT_EXPIRED";
      return { kind: "INTENT_EXPIRED" };
    }
    if (known.failure !== undefined) {
      return { kind: "INTENT_FAILED", firstReason: known.failure };
    }
    const refusal = resolves(intent) ? this.#resolve(intent) : this.#move(intent);
    if (refusal === undefined) {
      known.cleared = true;
      return { kind: "CLEARED", replayed: false };
    }
    known.failure = refusal;
    return { kind: refusal };
  }

  #move(intent: Intent): string | undefined {
    let available = this.available;
    for (const { code, amount } of intent.postings) {
      if (code === 1) available += amount;
      else if (amount > available) return "INSUFFICIENT_FUNDS";
      else available -= amount;
    }
    this.available = available;
    return undefined;
  }

  #resolve(intent: Intent): string | undefined {
    const pending = this.#known.get(intent.pendingIntentId);
    if (pending?.cleared !== true) return "PENDING_NOT_FOUND";
    if (pending.resolved !== undefined) return `PENDING_ALREADY_${pending.resolved}`;
    pending.resolved = intent.phase === "POST_PENDING" ? "POSTED" : "VOIDED";
    this.available += this.#released(intent);
    return undefined;
  }

  /** What a post leaves of the reservation, or a void gives back, returns to the wallet. */
  #released(intent: Intent): bigint {
    const taken = intent.phase === "POST_PENDING" ? sumOf(intent) : 0n;
    return this.#reserved(intent.pendingIntentId) - taken;
  }

  readonly #reservations = new Map<string, bigint>();

  #reserved(intentId: string): bigint {
    return this.#reservations.get(intentId) ?? 0n;
  }

  /** Tells the model how much an intent reserves, should it clear. */
  noteReservation(intent: Intent): void {
    this.#reservations.set(intent.intentId, sumOf(intent));
  }
}

function newKnown({ attestation }: ClearRequest): Known {
  return {
    digest: attestation.digest,
    cleared: false,
    failure: undefined,
    resolved: undefined,
  };
}

function resolves(intent: Intent): boolean {
  return intent.phase === "POST_PENDING" || intent.phase === "VOID_PENDING";
}

function sumOf(intent: Intent): bigint {
  return intent.postings.reduce((sum, { amount }) => sum + amount, 0n);
}
