import { nanosecondsText } from "#common/ledger/identity.ts";
import type { LedgerReader } from "#common/ledger/reader.ts";
import type { Finding } from "../finding.ts";
import type { KnownAdoption } from "./gap.ts";
import { type Holding, readHoldings } from "./holdings.ts";
import { judgeUnwritten, type LedgerStanding } from "./judge-evidence.ts";
import { judgeAttempt, judgeOrder } from "./judge-order.ts";
import { type EvidenceEntry, firstId, type IntentKey, type RecordsReader } from "./ports.ts";

/** How many intents with evidence there are of each end. */
export interface EvidenceCounts {
  /** All transfers are there. */
  cleared: number;
  /** Some are, or others stand under their ids: the audit of the transfers tells. */
  inPart: number;
  /** Dead, and it is recorded why. */
  failed: number;
  /** They may still clear. */
  alive: number;
  /** They expired, and never got to the ledger. */
  neverWritten: number;
  /** An adoption of a ledger gave up what they may have moved. */
  givenUp: number;
  lost: number;
}

/** What an adoption of a ledger has given up. */
export interface GivenUp {
  /** When, nanoseconds. */
  readonly adoptNs: bigint;
  /** Intents that have no transfers, and may have had. */
  readonly evidence: number;
  /** Purchases, refunds, corrections and fulfilments of Checkout's that had cleared. */
  readonly orderIntents: number;
}

/** How far the records were read. */
export interface RecordsProgress {
  readonly evidence: number;
  readonly orders: number;
}

export interface RecordsResult extends RecordsProgress {
  readonly evidenceCounts: Readonly<EvidenceCounts>;
  /** Of the adoptions that gave up anything, oldest first. */
  readonly givenUp: readonly GivenUp[];
}

/** Of an audit that reads none. */
export const noRecords: RecordsResult = {
  evidence: 0,
  orders: 0,
  evidenceCounts: {
    cleared: 0,
    inPart: 0,
    failed: 0,
    alive: 0,
    neverWritten: 0,
    givenUp: 0,
    lost: 0,
  },
  givenUp: [],
};

export interface RecordsAuditOptions {
  readonly records: RecordsReader;
  readonly ledger: Pick<LedgerReader, "findTransfers">;
  readonly standing: LedgerStanding;
  /**
   * Up to where an earlier audit vouches for the transfers (0: nowhere), nanoseconds, and whether it has told that
   * something is wrong with those of an intent. A chain that is not whole is told here only if nobody has read it again.
   */
  readonly trusted: { readonly to: bigint; readonly hasTold: (intent: IntentKey) => boolean };
  /** Accounts that hold something else than their transfers make. */
  readonly differing: ReadonlySet<bigint>;
  /** Rows of one page. */
  readonly rowsMax: number;
  readonly tell: (finding: Finding) => void;
  readonly onProgress: (progress: RecordsProgress) => void;
}

/**
 * Holds the records against the ledger: every intent with evidence has all of its transfers or an end that explains why
 * not, and every order that Checkout counts as cleared has its evidence and its transfers. Everything is read anew each
 * time, whatever an earlier audit has seen: only so does it notice what was lost since. Each page is read from the
 * records first and then looked up, so that what commits meanwhile is there. Memory is that of a page.
 */
export async function auditRecords(options: RecordsAuditOptions): Promise<RecordsResult> {
  const audit = new RecordsAudit(options);
  await audit.readEvidence();
  await audit.readOrders();
  await audit.readAttempts();
  return audit.result();
}

class RecordsAudit {
  readonly #options: RecordsAuditOptions;
  readonly #counts: EvidenceCounts = { ...noRecords.evidenceCounts };
  readonly #givenUp: Map<KnownAdoption, { evidence: number; orderIntents: number }>;
  #evidence = 0;
  #orders = 0;

  constructor(options: RecordsAuditOptions) {
    this.#options = options;
    const { adoptions } = options.standing;
    this.#givenUp = new Map(
      adoptions.map((adoption) => [adoption, { evidence: 0, orderIntents: 0 }]),
    );
  }

  async readEvidence(): Promise<void> {
    const { records, ledger, rowsMax } = this.#options;
    for (let after = firstId; ; ) {
      const page = await records.evidence(after, rowsMax);
      const holdings = await readHoldings(ledger, page);
      const unwritten: EvidenceEntry[] = [];
      for (const [index, entry] of page.entries()) {
        const holding = holdings[index];
        if (holding === undefined || holding.kind === "NONE") unwritten.push(entry);
        else this.#takeWritten(entry, holding);
      }
      await this.#takeUnwritten(unwritten);
      this.#evidence += page.length;
      this.#showProgress();
      const last = page.at(-1);
      if (last === undefined || page.length < rowsMax) return;
      after = last.intentId;
    }
  }

  #takeWritten(entry: EvidenceEntry, { kind, newest }: Holding): void {
    const { tell, trusted } = this.#options;
    const { intentId, failure, legs } = entry;
    if (kind === "ALL") {
      this.#counts.cleared += 1;
      if (failure === undefined || this.#wasAdoptedSince(failure.failedNs)) return;
      const died = `it is recorded as dead of ${failure.reason} since ${nanosecondsText(failure.failedNs)}`;
      const detail = `intent ${intentId}: ${died}, and its transfers are of ${nanosecondsText(newest)}`;
      tell({ kind: "CLEARED_THOUGH_FAILED", detail, intentId });
      return;
    }
    this.#counts.inPart += 1;
    if (newest > trusted.to || trusted.hasTold(entry)) return;
    const detail = `intent ${intentId}: not all of its ${legs} transfers are there, the newest of ${nanosecondsText(newest)}`;
    tell({ kind: "CHAIN_INCOMPLETE", detail, intentId });
  }

  /** A ledger that was put back has forgotten which ids are dead: who adopts it lets them clear again. */
  #wasAdoptedSince(ns: bigint): boolean {
    return this.#options.standing.adoptions.some(({ adoptNs }) => adoptNs >= ns);
  }

  async #takeUnwritten(entries: readonly EvidenceEntry[]): Promise<void> {
    if (entries.length === 0) return;
    const { records, standing, tell } = this.#options;
    const intentIds = entries.map(({ intentId }) => intentId);
    const acknowledged = await records.acknowledged(intentIds);
    const inSums = await this.#findInSums(intentIds);
    for (const entry of entries) {
      const { intentId, storedNs } = entry;
      const signs = {
        acknowledgement: acknowledged.get(intentId),
        isInSums: inSums.has(intentId),
      };
      const fate = judgeUnwritten(entry, signs, standing);
      this.#counts[fateCounts[fate.kind]] += 1;
      if (fate.kind === "GIVEN_UP") this.#countGivenUp(fate.by, "evidence");
      if (fate.kind !== "LOST") continue;
      const detail = `intent ${intentId}, whose evidence is of ${nanosecondsText(storedNs)}, has no transfers; ${fate.why}`;
      tell({ kind: "TRANSFERS_LOST", detail, intentId });
    }
  }

  /** The intents that would move between accounts of which all differ from their transfers. */
  async #findInSums(intentIds: readonly string[]): Promise<ReadonlySet<string>> {
    const { records, differing } = this.#options;
    if (differing.size === 0) return new Set();
    const accounts = await records.accountsOf(intentIds);
    const found = [...accounts].filter(([, ids]) => ids.every((id) => differing.has(id)));
    return new Set(found.map(([intentId]) => intentId));
  }

  async readOrders(): Promise<void> {
    const { records, rowsMax, tell } = this.#options;
    for (let after = firstId; ; ) {
      const page = await records.orders(after, rowsMax);
      for (const order of page) {
        const finding = judgeOrder(order);
        if (finding !== undefined) tell(finding);
      }
      this.#orders += page.length;
      this.#showProgress();
      const last = page.at(-1);
      if (last === undefined || page.length < rowsMax) return;
      after = last.checkoutId;
    }
  }

  async readAttempts(): Promise<void> {
    const { records, ledger, rowsMax, standing, tell } = this.#options;
    for (let after = firstId; ; ) {
      const page = await records.attempts(after, rowsMax);
      const holdings = await readHoldings(ledger, page);
      for (const [index, attempt] of page.entries()) {
        const holding = holdings[index];
        if (holding === undefined) continue;
        const fate = judgeAttempt(attempt, holding, standing);
        if (fate.kind === "GIVEN_UP") this.#countGivenUp(fate.by, "orderIntents");
        if (fate.kind === "WRONG") tell(fate.finding);
      }
      const last = page.at(-1);
      if (last === undefined || page.length < rowsMax) return;
      after = last.intentId;
    }
  }

  #countGivenUp(adoption: KnownAdoption, what: "evidence" | "orderIntents"): void {
    const counts = this.#givenUp.get(adoption);
    if (counts !== undefined) counts[what] += 1;
  }

  #showProgress(): void {
    this.#options.onProgress({ evidence: this.#evidence, orders: this.#orders });
  }

  result(): RecordsResult {
    const givenUp = [...this.#givenUp].map(([{ adoptNs }, counts]) => ({ adoptNs, ...counts }));
    return {
      evidence: this.#evidence,
      orders: this.#orders,
      evidenceCounts: { ...this.#counts },
      givenUp: givenUp.filter(({ evidence, orderIntents }) => evidence + orderIntents > 0),
    };
  }
}

const fateCounts = {
  FAILED: "failed",
  ALIVE: "alive",
  NEVER_WRITTEN: "neverWritten",
  GIVEN_UP: "givenUp",
  LOST: "lost",
} as const;
