import type { CommittedTransfer } from "#common/ledger/transfer-rows.ts";
/** Everything that an audit can find, and what it counts as. */
export const findingKinds = {
  /** The ledger is not the one that the records belong to, or has lost rows that were seen. */
  LEDGER_DIFFERS: "not the records' ledger",
  /** No evidence carries the digest that the transfer carries. */
  NO_EVIDENCE: "unattested",
  /** The transfer carries the digest of an intent and is none of its legs. */
  NOT_A_LEG: "unattested",
  /** The attestor's signature under the evidence is not its named signer's. */
  ATTESTATION_INVALID: "unattested",
  /** The signer is unknown, was not active when the intent was issued, or was revoked when it cleared. */
  SIGNER_NOT_TRUSTED: "unattested",
  /** The wallet's signature is missing where the rules ask for it, or is not the wallet's. */
  WALLET_SIGNATURE_INVALID: "unattested",
  /** It lacks approvals that the policy of its time asked for, or has one that its approver did not sign. */
  NOT_APPROVED: "unattested",
  /** The evidence does not hash to the digest under which it is stored. */
  EVIDENCE_ALTERED: "altered",
  /** A field of the transfer differs from what its intent says. */
  ROW_ALTERED: "altered",
  /** The intent breaks the posting rules or has no valid shape. */
  RULE_BROKEN: "against the rules",
  /** It cleared long after it had expired, or long before it was issued. */
  CLEARED_OUT_OF_TIME: "against the rules",
  /** It cleared when it was no longer fresh or its signer had retired, and nobody has a row of it from when it was issued. */
  DATED_BACK: "unattested",
  /** Legs of the intent are missing, or others stand between them. */
  CHAIN_INCOMPLETE: "incomplete",
  /** No account of the chart and no wallet's. */
  ACCOUNT_UNKNOWN: "accounts unknown",
  /** An account of the chart or a wallet's, created otherwise than Clearing creates it. */
  ACCOUNT_ALTERED: "accounts altered",
  /** A posting or voiding transfer that names no open reservation, or one of others. */
  RESERVATION_NOT_OPEN: "out of balance",
  /** An account's sums are not those of its transfers. */
  BALANCE_DIFFERS: "out of balance",
  /** The debits of an asset are not its credits. */
  LEDGER_UNBALANCED: "out of balance",
  /** Evidence whose transfers were in the ledger, or may have been, and are not. */
  TRANSFERS_LOST: "evidence lost",
  /** An intent that is recorded as dead has transfers. */
  CLEARED_THOUGH_FAILED: "evidence contradicted",
  /** Checkout counts an intent of an order as cleared, and its evidence or its transfers are not there. */
  ORDER_LOST: "orders lost",
  /** Checkout was told otherwise of an order's intent than the ledger has it. */
  ORDER_ALTERED: "orders contradicted",
} as const;

export type FindingKind = keyof typeof findingKinds;
export type FindingClass = (typeof findingKinds)[FindingKind];

/** Something that is not as it must be. */
export interface Finding {
  readonly kind: FindingKind;
  /** A sentence for people. */
  readonly detail: string;
  /** The row, if it is about one. */
  readonly transfer?: CommittedTransfer;
  readonly accountId?: bigint;
  /** The asset, if it is about one as a whole. */
  readonly ledger?: number;
  /** The intent, if it is about evidence or an order. */
  readonly intentId?: string;
  /** The order, if it is about one. */
  readonly order?: {
    /** The id of its first purchase intent. */
    readonly checkoutId: string;
    readonly merchantId: string;
    readonly orderId: string;
  };
}

/** How many findings of each class there are. */
export type FindingCounts = Readonly<Partial<Record<FindingClass, number>>>;

/** Counts all findings and keeps the first few. */
export class FindingList {
  readonly #kept: Finding[] = [];
  readonly #counts = new Map<FindingClass, number>();
  readonly #passing = new Map<FindingClass, number>();
  #told = 0;
  readonly #keptMax: number;
  readonly #onFinding: (finding: Finding) => void;

  /** `onFinding` hears of the first `keptMax`. */
  constructor(keptMax: number, onFinding: (finding: Finding) => void) {
    this.#keptMax = keptMax;
    this.#onFinding = onFinding;
  }

  add(finding: Finding): void {
    increment(this.#counts, finding);
    if (this.#tell(finding)) this.#kept.push(finding);
  }

  /** Adds what holds now and is looked at anew each time: a checkpoint does not keep it. */
  addPassing(finding: Finding): void {
    increment(this.#passing, finding);
    this.#tell(finding);
  }

  #tell(finding: Finding): boolean {
    if (this.#told >= this.#keptMax) return false;
    this.#told += 1;
    this.#onFinding(finding);
    return true;
  }

  /** Takes over what an earlier run found. */
  restore(counts: FindingCounts, kept: readonly Finding[]): void {
    for (const finding of kept) this.add(finding);
    for (const [kindClass, count] of Object.entries(counts)) {
      this.#counts.set(kindClass as FindingClass, count);
    }
  }

  /** What a checkpoint keeps: the first few, and how many of each class there are. */
  get lasting(): { readonly counts: FindingCounts; readonly findings: readonly Finding[] } {
    return { counts: Object.fromEntries(this.#counts), findings: [...this.#kept] };
  }

  /** All of them, also those that pass. */
  get counts(): FindingCounts {
    const counts = new Map(this.#counts);
    for (const [kindClass, count] of this.#passing) {
      counts.set(kindClass, (counts.get(kindClass) ?? 0) + count);
    }
    return Object.fromEntries(counts);
  }

  get total(): number {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }
}

function increment(counts: Map<FindingClass, number>, { kind }: Finding): void {
  const kindClass = findingKinds[kind];
  counts.set(kindClass, (counts.get(kindClass) ?? 0) + 1);
}
