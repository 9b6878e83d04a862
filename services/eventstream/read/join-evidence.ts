import type { AttestedIntent } from "#common/intent/intent.ts";
import {
  type CommittedTransfer,
  formatDigestPrefix,
  isDerivedRow,
  transferRows,
} from "#common/ledger/transfer-rows.ts";
import type { ChainEvidence } from "./event.ts";

/** Evidence by chain: one that has none, or differs from it in one field, is not in the map. */
export type EvidenceOfChains = ReadonlyMap<readonly CommittedTransfer[], AttestedIntent>;

type Evidence = ReadonlyMap<string, AttestedIntent>;

/** What was asked for before it was wanted. */
interface Ahead {
  readonly prefixes: ReadonlySet<string>;
  /** Undefined if the records did not answer. */
  readonly found: Promise<Evidence | undefined>;
}

/** Joins chains with their evidence. */
export class EvidenceJoiner {
  readonly #evidence: ChainEvidence;
  #ahead: Ahead | undefined;

  constructor(evidence: ChainEvidence) {
    this.#evidence = evidence;
  }

  /** Asks for the evidence of transfers now, so that it is there when their chains are to be joined with it. */
  askAhead(transfers: readonly CommittedTransfer[]): void {
    const firsts = transfers.filter((_, index) => transfers[index - 1]?.linked !== true);
    const prefixes = new Set(firsts.map(formatDigestPrefix));
    const found = this.#evidence.byPrefixes([...prefixes]).catch(() => undefined);
    this.#ahead = { prefixes, found };
  }

  /** Throws RECORDS_UNAVAILABLE: without an answer nobody may say that a chain is not attested. */
  async join(chains: readonly (readonly CommittedTransfer[])[]): Promise<EvidenceOfChains> {
    const joined = new Map<readonly CommittedTransfer[], AttestedIntent>();
    if (chains.length === 0) return joined;
    const prefixes = chains.map(prefixOf);
    const evidence = await this.#read(new Set(prefixes));
    for (const [index, chain] of chains.entries()) {
      const found = evidence.get(prefixes[index] ?? "");
      if (found !== undefined && followsFrom(chain, found)) joined.set(chain, found);
    }
    return joined;
  }

  async #read(prefixes: ReadonlySet<string>): Promise<Evidence> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    const known = await ahead?.found;
    if (ahead === undefined || known === undefined) {
      return this.#evidence.byPrefixes([...prefixes]);
    }
    const others = [...prefixes].filter((prefix) => !ahead.prefixes.has(prefix));
    if (others.length === 0) return known;
    return new Map([...known, ...(await this.#evidence.byPrefixes(others))]);
  }
}

function prefixOf(chain: readonly CommittedTransfer[]): string {
  const [first] = chain;
  if (first === undefined) throw new RangeError("a chain has at least one transfer");
  return formatDigestPrefix(first);
}

/** Whether a chain is, field by field, what its evidence derives: whoever writes past Clearing can copy a digest. */
function followsFrom(chain: readonly CommittedTransfer[], evidence: AttestedIntent): boolean {
  const { intent, attestation } = evidence;
  if (chain.length !== intent.postings.length) return false;
  const rows = transferRows(intent, attestation.digest);
  return chain.every((transfer, leg) => {
    const row = rows[leg];
    return row !== undefined && isDerivedRow(transfer, row);
  });
}
