import { findAsset, formatAmount } from "#common/ledger/assets.ts";
import { endOfTime } from "#common/ledger/reader.ts";
import type { CommittedTransfer } from "#common/ledger/transfer-rows.ts";
import { ChainFollower } from "./chain-follower.ts";
import { checkAccount } from "./check-account.ts";
import { isLeg } from "./examine-transfers.ts";
import { type Finding, type FindingCounts, FindingList } from "./finding.ts";
import { type PackedTransfers, packTransfers, unpackTransfers } from "./packed-transfers.ts";
import type { AccountRow, AuditLedger, HistoryRow, Sums } from "./ports.ts";
import {
  noRecords,
  type RecordsAuditOptions,
  type RecordsProgress,
  type RecordsResult,
} from "./records/audit-records.ts";
import { Replay, type ReplayState } from "./replay.ts";

/** How far an audit has come. Records are read after the ledger. */
export interface Progress extends Partial<RecordsProgress> {
  readonly transfers: number;
  /** Part of the ledger's time, 0 to 1. */
  readonly share: number;
}

/** Everything up to a timestamp, as plain values: an audit can go on from it. */
export interface AuditState {
  /** Of the last transfer that was read, nanoseconds. */
  readonly timestamp: bigint;
  /** Of the first, nanoseconds. */
  readonly firstTimestamp: bigint;
  readonly transfers: number;
  readonly counts: FindingCounts;
  /** The first findings. */
  readonly findings: readonly Finding[];
  readonly replay: ReplayState;
}

export interface AuditOptions {
  readonly ledger: AuditLedger;
  /** ExamineTransfers of a page. It may work on several at once. */
  readonly examine: (page: PackedTransfers) => Promise<readonly Finding[]>;
  /** The most pages that are examined at once, 1 or more: what bounds the memory. */
  readonly pagesMax: number;
  /** The most findings that are told; all are counted. */
  readonly findingsMax: number;
  readonly onFinding: (finding: Finding) => void;
  readonly onProgress: (progress: Progress) => void;
  /** Called between two intents, after every page: whether to take a checkpoint now, and where it goes. */
  readonly checkpoint?: {
    readonly isDue: () => boolean;
    readonly save: (state: AuditState) => void;
  };
  /** Where an earlier audit stopped. */
  readonly resume?: AuditState | undefined;
  /** What is known before the first page is read. It is told first, and no checkpoint keeps it. */
  readonly known?: readonly Finding[];
  /** Holds the records against the ledger, after the ledger was held against them. */
  readonly auditRecords?: (task: RecordsTask) => Promise<RecordsResult>;
}

/** What an audit of the records goes by, and where it tells what it finds. */
export type RecordsTask = Pick<RecordsAuditOptions, "differing" | "tell" | "onProgress">;

export interface AuditResult extends RecordsResult {
  /** The instant of which the audit is, nanoseconds. */
  readonly instant: bigint;
  readonly transfers: number;
  readonly accounts: number;
  readonly counts: FindingCounts;
  readonly findingCount: number;
  /** Debits equal credits in every asset, and every balance is what its transfers make. */
  readonly balanced: boolean;
}

/**
 * Audits a ledger as of now, while it may go on: every transfer against its evidence, every chain for being whole, every
 * account for being known and its sums for being those of its transfers; then the records against it. Memory grows with
 * accounts and open reservations, not with transfers, evidence or orders.
 */
export async function auditLedger(options: AuditOptions): Promise<AuditResult> {
  const audit = new Audit(options);
  await audit.readTransfers();
  await audit.readAccounts();
  await audit.readRecords();
  return audit.result();
}

class Audit {
  readonly #options: AuditOptions;
  readonly #findings: FindingList;
  readonly #replay: Replay;
  readonly #chains = new ChainFollower();
  readonly #differing = new Set<bigint>();
  #instant = 0n;
  #first: bigint;
  #last: bigint;
  #transfers: number;
  #accounts = 0;
  #records: RecordsResult = noRecords;

  constructor(options: AuditOptions) {
    const { resume } = options;
    this.#options = options;
    this.#findings = new FindingList(options.findingsMax, options.onFinding);
    for (const finding of options.known ?? []) this.#findings.addPassing(finding);
    if (resume !== undefined) this.#findings.restore(resume.counts, resume.findings);
    this.#replay = new Replay(resume?.replay);
    this.#first = resume?.firstTimestamp ?? 0n;
    this.#last = resume?.timestamp ?? 0n;
    this.#transfers = resume?.transfers ?? 0;
  }

  async readTransfers(): Promise<void> {
    const { ledger, examine, pagesMax } = this.#options;
    this.#instant = await ledger.instant();
    const underWay: { page: PackedTransfers; findings: Promise<Outcome> }[] = [];
    let from = this.#last + 1n;
    let more = true;
    while (more || underWay.length > 0) {
      if (more && underWay.length < pagesMax) {
        const transfers = await ledger.transfers(from, this.#instant);
        more = transfers.length === ledger.rowsMax;
        from = (transfers.at(-1)?.timestamp ?? this.#instant) + 1n;
        const page = packTransfers(transfers);
        underWay.push({ page, findings: settled(examine(page)) });
        continue;
      }
      const first = underWay.shift();
      if (first !== undefined)
        this.#take(await resultOf(first.findings), unpackTransfers(first.page));
    }
    for (const finding of this.#chains.end()) this.#findings.add(finding);
    this.#replay.runOut(this.#instant);
  }

  #take(findings: readonly Finding[], page: readonly CommittedTransfer[]): void {
    const byTimestamp = new Map(findings.map((finding) => [finding.transfer?.timestamp, finding]));
    for (const transfer of page) {
      const finding = byTimestamp.get(transfer.timestamp);
      if (finding !== undefined) this.#findings.add(finding);
      const broken = this.#chains.follow(transfer, isLeg(finding));
      for (const found of broken) this.#findings.add(found);
      const unreserved = this.#replay.apply(transfer);
      if (unreserved !== undefined) this.#findings.add(unreserved);
    }
    this.#transfers += page.length;
    this.#first ||= page[0]?.timestamp ?? 0n;
    this.#last = page.at(-1)?.timestamp ?? this.#last;
    this.#options.onProgress({ transfers: this.#transfers, share: this.#share() });
    this.#saveIfDue();
  }

  #share(): number {
    const all = this.#instant - this.#first;
    return all <= 0n ? 1 : Number(((this.#last - this.#first) * 10_000n) / all) / 10_000;
  }

  #saveIfDue(): void {
    const { checkpoint } = this.#options;
    if (checkpoint === undefined || !this.#chains.isBetween || !checkpoint.isDue()) return;
    this.save();
  }

  save(): void {
    this.#options.checkpoint?.save({
      timestamp: this.#last,
      firstTimestamp: this.#first,
      transfers: this.#transfers,
      ...this.#findings.lasting,
      replay: this.#replay.state(),
    });
  }

  async readAccounts(): Promise<void> {
    const { ledger } = this.#options;
    // What was read so far is worth keeping, and what comes now is done anew each time.
    if (this.#chains.isBetween) this.save();
    const totals = new Map<number, Sums>();
    let from = 1n;
    for (;;) {
      const accounts = await ledger.accounts(from, this.#instant);
      const sums = await Promise.all(accounts.map((account) => this.#checkAccount(account)));
      for (const [index, account] of accounts.entries()) {
        totals.set(account.ledger, add(totals.get(account.ledger), sums[index]));
      }
      this.#accounts += accounts.length;
      const last = accounts.at(-1);
      if (last === undefined || accounts.length < ledger.rowsMax) break;
      from = last.timestamp + 1n;
    }
    for (const [asset, sum] of totals) this.#checkTotals(asset, sum);
  }

  /** Checks one account and returns its sums as of the instant. */
  async #checkAccount(account: AccountRow): Promise<Sums> {
    const unknown = checkAccount(account);
    if (unknown !== undefined) this.#findings.add(unknown);
    // Most have not moved since the instant. Of the others the engine keeps what they were.
    if (this.#replay.agrees(account)) return this.#replay.sums(account.id);
    const row = await this.#options.ledger.history(account.id, this.#instant);
    const differs =
      this.#replay.compare(account.id, row) ?? (await this.#differsSinceLast(account));
    if (differs === undefined) return this.#replay.sums(account.id);
    this.#differing.add(account.id);
    const detail = `account ${account.id}: ${differs}`;
    this.#findings.add({ kind: "BALANCE_DIFFERS", detail, accountId: account.id });
    return row ?? account;
  }

  /** What was posted since the instant has left a row. One that was taken out of the ledger has only left its amount. */
  async #differsSinceLast(account: AccountRow): Promise<string | undefined> {
    const sums = this.#replay.sums(account.id);
    const field = (["debitsPosted", "creditsPosted"] as const).find(
      (posted) => account[posted] !== sums[posted],
    );
    if (field === undefined) return undefined;
    const newest = await this.#options.ledger.history(account.id, endOfTime);
    if (newest !== undefined && newest.timestamp > this.#instant) return undefined;
    return `${field} is ${account[field]}, its transfers make ${sums[field]}`;
  }

  #checkTotals(ledger: number, sums: Sums): void {
    const code = findAsset(ledger)?.code ?? `ledger ${ledger}`;
    for (const [debits, credits, what] of [
      [sums.debitsPosted, sums.creditsPosted, "posted"],
      [sums.debitsPending, sums.creditsPending, "pending"],
    ] as const) {
      if (debits === credits) continue;
      const detail = `${code}: debits ${what} are ${formatAmount(debits, ledger)}, credits ${formatAmount(credits, ledger)}`;
      this.#findings.add({ kind: "LEDGER_UNBALANCED", detail, ledger });
    }
  }

  async readRecords(): Promise<void> {
    const { auditRecords, onProgress } = this.#options;
    if (auditRecords === undefined) return;
    this.#records = await auditRecords({
      differing: this.#differing,
      tell: (finding) => this.#findings.addPassing(finding),
      onProgress: (progress) => onProgress({ transfers: this.#transfers, share: 1, ...progress }),
    });
  }

  result(): AuditResult {
    const { counts } = this.#findings;
    return {
      ...this.#records,
      instant: this.#instant,
      transfers: this.#transfers,
      accounts: this.#accounts,
      counts,
      findingCount: this.#findings.total,
      balanced: counts["out of balance"] === undefined,
    };
  }
}

function add(sums: Sums | undefined, more: Sums | HistoryRow | undefined): Sums {
  const field = (name: keyof Sums) => (sums?.[name] ?? 0n) + (more?.[name] ?? 0n);
  return {
    debitsPosted: field("debitsPosted"),
    creditsPosted: field("creditsPosted"),
    debitsPending: field("debitsPending"),
    creditsPending: field("creditsPending"),
  };
}

/** A result that is waited for later: a failure must not count as unhandled until then. */
type Outcome = { readonly findings: readonly Finding[] } | { readonly error: unknown };

function settled(findings: Promise<readonly Finding[]>): Promise<Outcome> {
  return findings.then(
    (found) => ({ findings: found }),
    (error: unknown) => ({ error }),
  );
}

async function resultOf(settledFindings: Promise<Outcome>): Promise<readonly Finding[]> {
  const outcome = await settledFindings;
  if ("findings" in outcome) return outcome.findings;
  throw outcome.error;
}
