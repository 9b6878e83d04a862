import type { AttestedIntent } from "#common/intent.ts";
import {
  type CommittedTransfer,
  formatDigestPrefix,
  isDerivedRow,
  transferRows,
} from "#common/transfer-rows.ts";
import type { RecordsReads } from "./event.ts";

/** Chains by their evidence: one that has none, or differs from it in one field, is not in the map. */
export type Attestations = ReadonlyMap<readonly CommittedTransfer[], AttestedIntent>;

/**
 * Joins chains with their evidence, in one read for all of them. Throws RECORDS_UNAVAILABLE: without an answer
 * nobody may say that a chain is not attested.
 */
export async function readAttestations(
  records: RecordsReads,
  chains: readonly (readonly CommittedTransfer[])[],
): Promise<Attestations> {
  const attested = new Map<readonly CommittedTransfer[], AttestedIntent>();
  if (chains.length === 0) return attested;
  const prefixes = chains.map(prefixOf);
  const evidence = await records.evidenceByPrefix([...new Set(prefixes)]);
  for (const [index, chain] of chains.entries()) {
    const found = evidence.get(prefixes[index] ?? "");
    if (found !== undefined && followsFrom(chain, found)) attested.set(chain, found);
  }
  return attested;
}

function prefixOf(chain: readonly CommittedTransfer[]): string {
  const [first] = chain;
  if (first === undefined) throw new RangeError("a chain has at least one transfer");
  return formatDigestPrefix(first);
}

/** Whether a chain is, field by field, what its evidence derives: whoever writes past Clearing can copy a digest. */
export function followsFrom(
  chain: readonly CommittedTransfer[],
  evidence: AttestedIntent,
): boolean {
  const { intent, attestation } = evidence;
  if (chain.length !== intent.postings.length) return false;
  const rows = transferRows(intent, attestation.digest);
  return chain.every((transfer, leg) => {
    const row = rows[leg];
    return row !== undefined && isDerivedRow(transfer, row);
  });
}
