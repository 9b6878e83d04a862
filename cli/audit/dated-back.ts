import { needsWitness, wasSeenInTime } from "#common/intent/dated-back.ts";
import type { AttestedIntent } from "#common/intent/intent.ts";
import type { Signers } from "#common/intent/signers.ts";
import type { AuditRecords } from "./ports.ts";

/** Evidence, and when it cleared. */
export interface ClearedEvidence {
  readonly evidence: AttestedIntent;
  /** Unix seconds. */
  readonly commitTime: bigint;
}

/**
 * The ids of those intents that Clearing would have refused as dated back: they cleared when they were no longer fresh, or after
 * their signer had retired, and neither the Attestor's row nor the evidence's own is from the time when they say that they
 * were issued. Most are fresh, and nothing is asked for them.
 */
export async function findDatedBack(
  records: Pick<AuditRecords, "seenTimes">,
  signers: Signers,
  cleared: readonly ClearedEvidence[],
): Promise<ReadonlySet<string>> {
  const doubtful = cleared.filter(({ evidence: { intent, attestation }, commitTime }) => {
    const signer = signers.find(({ address }) => address === attestation.signer);
    return signer !== undefined && needsWitness(intent, signer, commitTime);
  });
  if (doubtful.length === 0) return new Set();
  const ids = new Set(doubtful.map(({ evidence }) => evidence.intent.intentId));
  const seen = await records.seenTimes([...ids]);
  return new Set(
    doubtful
      .filter(({ evidence: { intent, attestation } }) => {
        const signer = signers.find(({ address }) => address === attestation.signer);
        const times = seen.get(intent.intentId) ?? [];
        return !times.some(
          ({ digest, seenTime }) =>
            signer !== undefined &&
            digest === attestation.digest &&
            wasSeenInTime(intent, signer, seenTime),
        );
      })
      .map(({ evidence }) => evidence.intent.intentId),
  );
}
