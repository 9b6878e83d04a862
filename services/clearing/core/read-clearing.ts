import type { Caller } from "#common/caller.ts";
import { DomainError } from "#common/domain-error.ts";
import type { AttestedIntent } from "#common/intent/intent.ts";
import { transferRows } from "#common/ledger/transfer-rows.ts";
import { viewerOf, visibleTo } from "#common/ledger/visibility.ts";
import type { Attempt } from "./attempt.ts";
import type { Clearing } from "./clearing.ts";
import type { ClearingPorts, Found } from "./ports.ts";

/** A clearing and the evidence of its intent, as far as the caller may see both. */
export interface ReadClearing {
  /** `transferIds`: of the caller's own legs. If it is masked, it does not say why it failed. */
  readonly clearing: Clearing;
  readonly evidence: AttestedIntent;
  /** Whether anything is kept from the caller. */
  readonly masked: boolean;
  /** Which legs the postings and transfers are, from 0. */
  readonly legs: readonly number[];
  readonly legCount: number;
}

type ReadPorts = Pick<ClearingPorts, "evidence" | "ledger">;

/**
 * What became of an intent. INTENT_NOT_FOUND only if there is no evidence, or it is not the caller's; LEDGER_UNAVAILABLE,
 * RECORDS_UNAVAILABLE.
 */
export async function readClearing(
  ports: ReadPorts,
  intentId: string,
  caller: Caller,
  attempt: Attempt,
): Promise<ReadClearing> {
  const evidence = await ports.evidence.read(intentId, attempt);
  const postings = evidence?.intent.postings.map((posting, leg) => ({ ...posting, leg })) ?? [];
  const visible = visibleTo(viewerOf(caller), evidence, postings);
  if (evidence === undefined || visible?.evidence === undefined) {
    throw new DomainError("INTENT_NOT_FOUND", `there is no intent ${intentId}`, {
      metadata: { intentId },
    });
  }
  const { digest } = evidence.attestation;
  const { masked, legCount } = visible;
  const legs = visible.legs.map(({ leg }) => leg);
  const rows = transferRows(evidence.intent, digest);
  // The ledger first: what it holds is true whatever is recorded elsewhere.
  const found = await ports.ledger.find(rows, attempt);
  const failure = await failureOf(ports, found, intentId, attempt);
  const clearing: Clearing = {
    intentId,
    digest,
    phase: evidence.intent.phase,
    state: found.kind === "ALL" ? "CLEARED" : failure === undefined ? "UNKNOWN" : "FAILED",
    transferIds: rows.filter((_, leg) => legs.includes(leg)).map((row) => row.id),
    commitTimestamp: found.kind === "ALL" ? found.timestamp : 0n,
    replayed: found.kind === "ALL",
    failure: masked ? undefined : failure,
  };
  return { clearing, evidence: visible.evidence, masked, legs, legCount };
}

/** Why an intent is dead, if that is known. Foreign transfers under its ids are a reason that nothing can take away. */
async function failureOf(
  ports: ReadPorts,
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
