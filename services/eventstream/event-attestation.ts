import type { AttestedIntent } from "#common/intent.ts";
import { formatDigestPrefix, transferRows } from "#common/transfer-rows.ts";
import type { LedgerTransfer, RecordsReads } from "./event.ts";

/** Chains by their evidence: one that has none, or differs from it in one field, is not in the map. */
export type Attestations = ReadonlyMap<readonly LedgerTransfer[], AttestedIntent>;

/**
 * Joins chains with their evidence, in one read for all of them. Throws RECORDS_UNAVAILABLE: without an answer
 * nobody may say that a chain is not attested.
 */
export async function readAttestations(
  records: RecordsReads,
  chains: readonly (readonly LedgerTransfer[])[],
): Promise<Attestations> {
  const attested = new Map<readonly LedgerTransfer[], AttestedIntent>();
  if (chains.length === 0) return attested;
  const prefixes = chains.map(prefixOf);
  const evidence = await records.evidenceByPrefix([...new Set(prefixes)]);
  for (const [index, chain] of chains.entries()) {
    const found = evidence.get(prefixes[index] ?? "");
    if (found !== undefined && followsFrom(chain, found)) attested.set(chain, found);
  }
  return attested;
}

function prefixOf(chain: readonly LedgerTransfer[]): string {
  const [first] = chain;
  if (first === undefined) throw new RangeError("a chain has at least one transfer");
  return formatDigestPrefix(first);
}

/** Whether a chain is, field by field, what its evidence derives: whoever writes past Clearing can copy a digest. */
export function followsFrom(chain: readonly LedgerTransfer[], evidence: AttestedIntent): boolean {
  const { intent, attestation } = evidence;
  if (chain.length !== intent.postings.length) return false;
  const rows = transferRows(intent, attestation.digest);
  return chain.every((transfer, leg) => {
    const row = rows[leg];
    return (
      row !== undefined &&
      transfer.id === row.id &&
      transfer.debitAccountId === row.debitAccountId &&
      transfer.creditAccountId === row.creditAccountId &&
      transfer.amount === row.amount &&
      transfer.pendingId === row.pendingId &&
      transfer.userData128 === row.userData128 &&
      transfer.userData64 === row.userData64 &&
      transfer.userData32 === row.userData32 &&
      transfer.timeout === row.timeout &&
      transfer.ledger === row.ledger &&
      transfer.code === row.code &&
      transfer.phase === row.phase &&
      transfer.linked === row.linked &&
      !transfer.foreignFlags
    );
  });
}
