import type { AttestedIntent } from "#common/intent/intent.ts";
import { type AccountRecord, endOfTime, type LedgerReader } from "#common/ledger/reader.ts";
import { type CommittedTransfer, transferId } from "#common/ledger/transfer-rows.ts";
import { isWalletAccountId } from "#common/ledger/wallet-account.ts";
import { comparePositions, type Position } from "#common/wire/cursor.ts";
import type { RecordsReads, StreamEvent } from "./event.ts";
import { typeOfChain } from "./event.ts";
import { Expiries, type Expiry, expiryOf } from "./expiries.ts";
import { EvidenceJoiner } from "./join-evidence.ts";

/** The most legs of an intent that can lie before a start inside its chain, and the leg that ends it. */
const readBackRows = 64;

export interface EventReaderOptions {
  readonly ledger: LedgerReader;
  readonly records: RecordsReads;
  /** Events after this place are read. */
  readonly start: Position;
  /** The most open reservations that the reader keeps in mind. */
  readonly openLegsMax: number;
}

/** Events, complete up to an instant. */
export interface EventBatch {
  /** In order. */
  readonly events: readonly StreamEvent[];
  /** Every event at or before this instant is in this batch or an earlier one. */
  readonly through: bigint;
}

/** What was read and is not handed out yet. It waits here while the records cannot be reached. */
interface Due {
  readonly chains: readonly (readonly CommittedTransfer[])[];
  readonly accounts: readonly AccountRecord[];
  readonly expiries: readonly Expiry[];
  readonly through: bigint;
}

/**
 * Reads the ledger from a place on as events: transfers grouped into chains, accounts and expiries, merged into the
 * one order and joined with their evidence. One call at a time. A call that throws loses nothing: the next one goes
 * on where it stopped.
 */
export class EventReader {
  readonly #ledger: LedgerReader;
  readonly #records: RecordsReads;
  readonly #evidence: EvidenceJoiner;
  readonly #start: Position;
  readonly #openLegsMax: number;
  #expiries: Expiries | undefined;
  #due: Due | undefined;

  /** Rows that were read and lie behind the instant up to which all is known. */
  #transfers: CommittedTransfer[] = [];
  #accounts: AccountRecord[] = [];
  #transferMin: bigint;
  #accountMin: bigint;
  /** Every row at or before these instants was read. */
  #transfersThrough: bigint;
  #accountsThrough: bigint;

  constructor(options: EventReaderOptions) {
    this.#ledger = options.ledger;
    this.#records = options.records;
    this.#evidence = new EvidenceJoiner(options.records.evidence);
    this.#start = options.start;
    this.#openLegsMax = options.openLegsMax;
    this.#transferMin = options.start.timestamp + 1n;
    this.#accountMin = options.start.timestamp + 1n;
    this.#transfersThrough = options.start.timestamp;
    this.#accountsThrough = options.start.timestamp;
  }

  /** Open reservations kept in mind. */
  get openLegs(): number {
    return this.#expiries?.size ?? 0;
  }

  /** Whether an instant, as far as the reader knows, lies between the ends of two legs that expire as one event. */
  isInsideExpiry(timestamp: bigint): boolean {
    return this.#expiries?.isInside(timestamp) ?? false;
  }

  /**
   * Looks for new rows without asking the ledger its time, and resolves with an instant for `read`: that of the newest
   * row. Whoever saw a row sees everything before it, in every request that starts afterwards. Undefined if there is
   * more than a page. Throws LEDGER_UNAVAILABLE, RECORDS_UNAVAILABLE, LIMIT_EXCEEDED.
   */
  async look(limit: number): Promise<bigint | undefined> {
    this.#expiries ??= await this.#begin();
    if (this.#due !== undefined) return this.#due.through;
    const rowsMax = Math.min(limit, this.#ledger.rowsMax);
    const transfers = await this.#readTransfers(this.#transfersThrough, rowsMax);
    // After the transfers: so the accounts that were opened before the newest of them are here too.
    const accounts = await this.#readAccounts(this.#transfersThrough, rowsMax);
    if (transfers === rowsMax || accounts === rowsMax) return undefined;
    return latest(this.#transfersThrough, this.#accountsThrough);
  }

  /**
   * Reads the next page, up to `until` at most, which must be a time that the ledger told before: only then is
   * everything at or before it visible. `limit` bounds the rows of a page. Throws LEDGER_UNAVAILABLE,
   * RECORDS_UNAVAILABLE, LIMIT_EXCEEDED.
   */
  async read(until: bigint, limit: number): Promise<EventBatch> {
    this.#expiries ??= await this.#begin();
    this.#due ??= await this.#collect(this.#expiries, until, Math.min(limit, this.#ledger.rowsMax));
    const batch = await this.#join(this.#due);
    this.#due = undefined;
    return batch;
  }

  async #collect(expiries: Expiries, until: bigint, limit: number): Promise<Due> {
    // Both end before the error of one is told: a read that goes on behind the next call would deliver twice.
    const reads = await Promise.allSettled([
      this.#transfersThrough < until ? this.#readTransfers(until, limit) : undefined,
      this.#accountsThrough < until ? this.#readAccounts(until, limit) : undefined,
    ]);
    for (const read of reads) if (read.status === "rejected") throw read.reason;

    const through = earliest(until, this.#transfersThrough, this.#accountsThrough);
    const chains = this.#takeChains(through);
    for (const chain of chains) expiries.feed(chain);
    return {
      chains,
      accounts: this.#takeAccounts(through),
      expiries: expiries.takeUpTo(through),
      through,
    };
  }

  /** `until`: an instant that had passed before. Resolves with the number of rows. */
  async #readTransfers(until: bigint, limit: number): Promise<number> {
    const range = { from: this.#transferMin, to: endOfTime, limit };
    const rows = await this.#ledger.listTransfers("any", range);
    const last = rows.at(-1)?.timestamp ?? 0n;
    // A page that is not full ends at the newest transfer, and nothing at or before `until` can still appear.
    this.#transfersThrough = rows.length < limit ? latest(until, last) : last;
    if (rows.length === 0) return 0;
    this.#transferMin = last + 1n;
    this.#evidence.askAhead(rows);
    this.#transfers = this.#transfers.length === 0 ? rows : [...this.#transfers, ...rows];
    return rows.length;
  }

  async #readAccounts(until: bigint, limit: number): Promise<number> {
    const range = { from: this.#accountMin, to: endOfTime, limit };
    const rows = await this.#ledger.listAccounts("any", range);
    const last = rows.at(-1)?.timestamp ?? 0n;
    const through = rows.length < limit ? latest(until, last) : last;
    this.#accountsThrough = latest(this.#accountsThrough, through);
    if (rows.length === 0) return 0;
    this.#accountMin = last + 1n;
    this.#accounts = this.#accounts.length === 0 ? rows : [...this.#accounts, ...rows];
    return rows.length;
  }

  /** Chains that ended at or before an instant. One that the end of a page cut waits for its rest. */
  #takeChains(through: bigint): CommittedTransfer[][] {
    const rows = this.#transfers;
    const chains: CommittedTransfer[][] = [];
    let taken = 0;
    for (let end = 0; end < rows.length; end += 1) {
      const row = rows[end];
      if (row === undefined || row.timestamp > through) break;
      if (row.linked) continue;
      chains.push(rows.slice(taken, end + 1));
      taken = end + 1;
    }
    this.#transfers = rows.slice(taken);
    return chains;
  }

  #takeAccounts(through: bigint): AccountRecord[] {
    const later = this.#accounts.findIndex(({ timestamp }) => timestamp > through);
    const count = later === -1 ? this.#accounts.length : later;
    const taken = this.#accounts.slice(0, count);
    this.#accounts = this.#accounts.slice(count);
    return taken;
  }

  async #join(due: Due): Promise<EventBatch> {
    const expiries = due.expiries.filter(({ position }) => this.#isAfterStart(position));
    for (const expiry of expiries) if (!expiry.seenAll) await this.#closeResolved(expiry);
    const expired = expiries.filter(({ open }) => open.size > 0);

    const chains = [...due.chains, ...expired.map(({ chain }) => chain)];
    const evidence = await this.#evidence.join(chains);
    const events = [
      ...due.chains.map((chain) => chainEvent(chain, evidence.get(chain))),
      ...due.accounts.map(accountEvent),
      ...expired.map((expiry) => expiryEvent(expiry, evidence.get(expiry.chain))),
    ];
    events.sort((a, b) => comparePositions(a.position, b.position));
    return { events, through: due.through };
  }

  #isAfterStart(position: Position): boolean {
    return comparePositions(position, this.#start) > 0;
  }

  /**
   * Asks the ledger whether legs that were found in the records were posted or voided: the records know only of
   * posts and voids that came through Clearing.
   */
  async #closeResolved(expiry: Expiry): Promise<void> {
    for (const leg of expiry.chain) {
      if (expiry.open.has(leg.id) && (await this.#isResolved(leg))) expiry.open.delete(leg.id);
    }
  }

  async #isResolved(leg: CommittedTransfer): Promise<boolean> {
    // A wallet has a history of its own; the other side may be everybody's.
    const accountId = isWalletAccountId(leg.debitAccountId)
      ? leg.debitAccountId
      : leg.creditAccountId;
    const limit = this.#ledger.rowsMax;
    const to = expiryOf(leg) - 1n;
    for (let from = leg.timestamp + 1n; ; ) {
      const rows = await this.#ledger.listTransfers({ accountId }, { from, to, limit });
      if (rows.some(({ pendingId }) => pendingId === leg.id)) return true;
      const last = rows.at(-1);
      if (last === undefined || rows.length < limit || last.timestamp === to) return false;
      from = last.timestamp + 1n;
    }
  }

  /** Finds what lies before the start and matters after it: a chain that the start cuts, and what may still run out. */
  async #begin(): Promise<Expiries> {
    const expiries = new Expiries(this.#openLegsMax);
    if (this.#start.timestamp === 0n) return expiries;
    this.#transfers = await this.#readBack();
    await this.#findOpen(expiries);
    return expiries;
  }

  async #readBack(): Promise<CommittedTransfer[]> {
    // Intents have at most 64 legs; a longer chain was written past Clearing, and must not be split either.
    for (const limit of [readBackRows, this.#ledger.rowsMax]) {
      const range = { from: 1n, to: this.#start.timestamp, limit };
      const rows = await this.#ledger.newestTransfers("any", range);
      const end = rows.findIndex(({ linked }) => !linked);
      if (end === -1 && rows.length === limit && limit === readBackRows) continue;
      return (end === -1 ? rows : rows.slice(0, end)).reverse();
    }
    return [];
  }

  async #findOpen(expiries: Expiries): Promise<void> {
    const seconds = this.#start.timestamp / 1_000_000_000n;
    const limit = this.#ledger.rowsMax;
    for (let after: AttestedIntent | undefined; ; ) {
      const page = await this.#records.pendingsOpenAt(seconds, after, limit);
      await this.#openPending(expiries, page);
      after = page.at(-1);
      if (page.length < limit) return;
    }
  }

  async #openPending(expiries: Expiries, pendings: readonly AttestedIntent[]): Promise<void> {
    const byId = await this.#lookUp(pendings);
    const openIds: string[] = [];
    for (const { intent } of pendings) {
      const chain = intent.postings
        .map((_, leg) => byId.get(transferId(intent.intentId, leg)))
        .filter((row) => row !== undefined);
      const last = chain.at(-1);
      // One that ends after the start is read as part of the stream.
      if (last === undefined || last.timestamp > this.#start.timestamp) continue;
      if (expiryOf(last) < this.#start.timestamp) continue;
      expiries.open(chain, false);
      openIds.push(intent.intentId);
    }
    if (openIds.length === 0) return;
    const resolutions = await this.#records.resolutionsOf(openIds);
    for (const { pendingId } of (await this.#lookUp(resolutions)).values()) {
      expiries.close(pendingId);
    }
  }

  /** The transfers of intents that exist, by id. */
  async #lookUp(intents: readonly AttestedIntent[]): Promise<Map<bigint, CommittedTransfer>> {
    const ids = intents.flatMap(({ intent }) =>
      intent.postings.map((_, leg) => transferId(intent.intentId, leg)),
    );
    const byId = new Map<bigint, CommittedTransfer>();
    const rowsMax = this.#ledger.rowsMax;
    for (let from = 0; from < ids.length; from += rowsMax) {
      const rows = await this.#ledger.findTransfers(ids.slice(from, from + rowsMax));
      for (const [id, row] of rows) byId.set(id, row);
    }
    return byId;
  }
}

function chainEvent(
  chain: readonly CommittedTransfer[],
  evidence: AttestedIntent | undefined,
): StreamEvent {
  return {
    position: commitPosition(chain.at(-1)?.timestamp ?? 0n),
    type: typeOfChain(chain),
    transfers: chain,
    account: undefined,
    evidence,
  };
}

function accountEvent(account: AccountRecord): StreamEvent {
  return {
    position: commitPosition(account.timestamp),
    type: "ACCOUNT_OPENED",
    transfers: [],
    account,
    evidence: undefined,
  };
}

function expiryEvent(expiry: Expiry, evidence: AttestedIntent | undefined): StreamEvent {
  return {
    position: expiry.position,
    type: "EXPIRED",
    transfers: expiry.chain.filter(({ id }) => expiry.open.has(id)),
    account: undefined,
    evidence,
  };
}

function commitPosition(timestamp: bigint): Position {
  return { timestamp, kind: "COMMIT", pendingTimestamp: 0n };
}

function earliest(first: bigint, ...others: readonly bigint[]): bigint {
  return others.reduce((least, value) => (value < least ? value : least), first);
}

function latest(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
