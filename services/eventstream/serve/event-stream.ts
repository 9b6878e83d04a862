import { DomainError } from "#common/domain-error.ts";
import type { AccountRecord, LedgerReader } from "#common/ledger/reader.ts";
import type { Viewer } from "#common/ledger/visibility.ts";
import { Places } from "#common/places.ts";
import type { StreamEnds } from "#common/stream-life.ts";
import { beginning, endOf, type Position } from "#common/wire/cursor.ts";
import type { EventFilter } from "../live/filter.ts";
import { Hub, type HubObserver } from "../live/hub.ts";
import { Leases } from "../live/leases.ts";
import type { RecordsReads } from "../read/event.ts";
import { EventReader } from "../read/reader.ts";
import { shareAnswers } from "../read/share-answers.ts";
import { BalanceWatch, type ReadSumsAt } from "./balances.ts";
import { type EventPage, type ListPlace, listEvents } from "./list.ts";
import { type StreamStart, startPosition } from "./start.ts";
import { Subscription } from "./subscription.ts";

/** Every bound of a process. */
export interface StreamLimits {
  readonly subscribersMax: number;
  readonly ringEventsMax: number;
  readonly ringTransfersMax: number;
  readonly lookBackNs: bigint;
  readonly pollMs: number;
  readonly idlePollMs: number;
  readonly retryMs: number;
  readonly unavailableAfterMs: number;
  /** The most readers of past events at once, and the most rows of one of their batches. */
  readonly readersMax: number;
  readonly batchRowsMax: number;
  /** How long a reader's client may idle while others wait. */
  readonly readerIdleMs: number;
  /** The most open reservations that one reader keeps in mind. */
  readonly openLegsMax: number;
}

export const defaultLimits: StreamLimits = {
  subscribersMax: 10_000,
  ringEventsMax: 16_384,
  ringTransfersMax: 65_536,
  lookBackNs: 60_000_000_000n,
  pollMs: 500,
  idlePollMs: 1_000,
  retryMs: 250,
  unavailableAfterMs: 10_000,
  readersMax: 8,
  batchRowsMax: 2_048,
  readerIdleMs: 250,
  openLegsMax: 1_000_000,
};

export interface EventStreamOptions {
  /** For the end of the ledger. */
  readonly ledger: LedgerReader;
  /** For past events: a client of its own, so that their reads do not delay what is new. */
  readonly pastLedger: LedgerReader;
  readonly records: RecordsReads;
  readonly readSumsAt: ReadSumsAt;
  readonly limits: StreamLimits;
  readonly observer: HubObserver;
}

export interface SubscribeOptions {
  readonly start: StreamStart;
  readonly filter: EventFilter;
  readonly heartbeatMs: number;
  readonly ends: StreamEnds;
}

/** The events of a ledger, for everyone in this process who wants to know. */
export class EventStream {
  readonly hub: Hub;
  readonly #options: EventStreamOptions;
  readonly #leases: Leases;
  /** The ledger's time, read after the question; those who ask at once share the answer. */
  readonly #askTime: () => Promise<bigint>;
  readonly #places: Places;

  constructor(options: EventStreamOptions) {
    this.#options = options;
    const { limits, ledger } = options;
    this.#places = new Places(limits.subscribersMax, () => tooMany(limits.subscribersMax));
    this.#leases = new Leases({ grantedMax: limits.readersMax, idleMs: limits.readerIdleMs });
    this.#askTime = shareAnswers(() => ledger.clusterTime());
    this.hub = new Hub({
      ...limits,
      ledger,
      newReader: (start) => this.#newReader(ledger, start),
      observer: options.observer,
    });
  }

  get subscribers(): number {
    return this.#places.taken;
  }

  /** Those who read past events right now. */
  get readers(): number {
    return this.#leases.grantedCount;
  }

  /**
   * Opens a stream. `close` must be called on it. Throws LIMIT_EXCEEDED, CURSOR_IN_FUTURE, INVALID_FIELD,
   * LEDGER_UNAVAILABLE.
   */
  subscribe(options: SubscribeOptions): Promise<Subscription> {
    return this.#enter(async (leave) => {
      const time = await this.#askTime();
      return new Subscription({
        ...this.#options.limits,
        ...options,
        hub: this.hub,
        leases: this.#leases,
        newReader: (position) => this.#newReader(this.#options.pastLedger, position),
        start: startPosition(options.start, time) ?? endOf(time),
        time,
        leave,
      });
    });
  }

  /**
   * Opens a watch over at most 1000 accounts. `close` must be called on it. What the viewer does not see
   * does not exist for him. Throws LIMIT_EXCEEDED, ACCOUNT_NOT_FOUND, LEDGER_UNAVAILABLE.
   */
  watchBalances(options: WatchBalancesOptions): Promise<BalanceWatch> {
    return this.#enter(async (leave) => {
      const time = await this.#askTime();
      const accounts = await this.#findAccounts(options, time);
      const { ledger, readSumsAt } = this.#options;
      const { keepAliveMs, ends } = options;
      const { hub } = this;
      return new BalanceWatch({
        hub,
        ledger,
        readSumsAt,
        accounts,
        keepAliveMs,
        ends,
        time,
        leave,
      });
    });
  }

  /** The accounts in the order of their ids. */
  async #findAccounts(
    { accountIds, viewer }: WatchBalancesOptions,
    instant: bigint,
  ): Promise<AccountRecord[]> {
    const { ledger } = this.#options;
    const byId = new Map<bigint, AccountRecord>();
    const wanted = accountIds.filter((id) => viewer.sees(id));
    for (let from = 0; from < wanted.length; from += ledger.rowsMax) {
      const rows = await ledger.findAccounts(wanted.slice(from, from + ledger.rowsMax));
      for (const row of rows.values()) if (row.timestamp <= instant) byId.set(row.id, row);
    }
    return accountIds.map((id) => {
      const account = byId.get(id);
      if (account !== undefined) return account;
      throw new DomainError("ACCOUNT_NOT_FOUND", `There is no account ${id}.`, {
        metadata: { accountId: id.toString() },
      });
    });
  }

  /** Opens a stream with a place of its own, which it gives back when it closes. Throws LIMIT_EXCEEDED. */
  async #enter<Stream>(open: (leave: () => void) => Promise<Stream>): Promise<Stream> {
    const leave = this.#places.take();
    try {
      return await open(leave);
    } catch (error) {
      leave();
      throw error;
    }
  }

  /**
   * Where a list of past events begins and ends. `to` is exclusive, in nanoseconds; undefined, or a time that is
   * still to come, means now. Throws CURSOR_IN_FUTURE, INVALID_FIELD, LEDGER_UNAVAILABLE.
   */
  async placeList(start: StreamStart, to: bigint | undefined): Promise<ListPlace> {
    const time = await this.#askTime();
    const through = to === undefined || to > time ? time : to - 1n;
    return { after: startPosition(start, time) ?? beginning, through };
  }

  /** Lists events from a place on. Throws LEDGER_UNAVAILABLE, RECORDS_UNAVAILABLE. */
  list(
    place: ListPlace,
    filter: EventFilter,
    eventsMax: number,
    signal: AbortSignal,
  ): Promise<EventPage> {
    return listEvents({
      leases: this.#leases,
      newReader: (start) => this.#newReader(this.#options.pastLedger, start),
      rowsMax: this.#options.limits.batchRowsMax,
      place,
      filter,
      eventsMax,
      signal,
    });
  }

  #newReader(ledger: LedgerReader, start: Position): EventReader {
    const { records, limits } = this.#options;
    return new EventReader({ ledger, records, start, openLegsMax: limits.openLegsMax });
  }
}

export interface WatchBalancesOptions {
  /** Without repetition. */
  readonly accountIds: readonly bigint[];
  readonly viewer: Viewer;
  readonly keepAliveMs: number;
  readonly ends: StreamEnds;
}

function tooMany(subscribersMax: number): DomainError<"LIMIT_EXCEEDED"> {
  return new DomainError("LIMIT_EXCEEDED", "This process has as many subscribers as it takes.", {
    metadata: { limit: String(subscribersMax), what: "subscribers" },
  });
}
