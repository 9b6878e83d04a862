import { DomainError, invalidField } from "#common/domain-error.ts";
import type { AccountRecord, LedgerReader } from "#common/ledger/reader.ts";
import { beginning, endOf, type Position } from "#common/wire/cursor.ts";
import { EventHub, type HubObserver } from "../live/hub.ts";
import { Leases } from "../live/leases.ts";
import type { RecordsReads } from "../read/event.ts";
import { EventReader } from "../read/reader.ts";
import { shareAnswers } from "../read/share-answers.ts";
import { BalanceWatch, type ReadSumsAt } from "./balances.ts";
import { accountsOfWallets, type EventFilter } from "./filter.ts";
import { type EventPage, type ListPlace, listEvents } from "./list.ts";
import { type StreamEnds, Subscription } from "./subscription.ts";

/** Every bound of a process. */
export interface StreamLimits {
  readonly subscribersMax: number;
  readonly ringEventsMax: number;
  readonly ringTransfersMax: number;
  readonly lookBackNs: bigint;
  readonly pollMs: number;
  readonly retryMs: number;
  readonly unavailableAfterMs: number;
  /** The most readers of past events at once, and the most rows of one of their pages. */
  readonly readersMax: number;
  readonly pageRowsMax: number;
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
  retryMs: 250,
  unavailableAfterMs: 10_000,
  readersMax: 8,
  pageRowsMax: 2_048,
  readerIdleMs: 250,
  openLegsMax: 1_000_000,
};

export interface EventStreamOptions {
  /** For the end of the ledger. */
  readonly ledger: LedgerReader;
  /** For past events: a client of its own, so that their pages do not delay what is new. */
  readonly pastLedger: LedgerReader;
  readonly records: RecordsReads;
  readonly readSumsAt: ReadSumsAt;
  readonly limits: StreamLimits;
  readonly observer: HubObserver;
}

/** Where a caller wants to start. */
export type StreamStart =
  | { readonly kind: "now" }
  | { readonly kind: "earliest" }
  | { readonly kind: "cursor"; readonly position: Position }
  /** The first event at or after an instant, in nanoseconds; negative ones are before everything. */
  | { readonly kind: "since"; readonly timestamp: bigint };

export interface SubscribeOptions {
  readonly start: StreamStart;
  readonly filter: EventFilter;
  readonly heartbeatMs: number;
  readonly ends: StreamEnds;
}

/** The events of a ledger, for everyone in this process who wants to know. */
export class EventStream {
  readonly hub: EventHub;
  readonly #options: EventStreamOptions;
  readonly #leases: Leases;
  /** The ledger's time, read after the question; those who ask at once share the answer. */
  readonly #askTime: () => Promise<bigint>;
  #subscribers = 0;

  constructor(options: EventStreamOptions) {
    this.#options = options;
    const { limits, ledger } = options;
    this.#leases = new Leases({ grantedMax: limits.readersMax, idleMs: limits.readerIdleMs });
    this.#askTime = shareAnswers(() => ledger.clusterTime());
    this.hub = new EventHub({
      ...limits,
      ledger,
      newReader: (start) => this.#newReader(ledger, start),
      observer: options.observer,
    });
  }

  get subscribers(): number {
    return this.#subscribers;
  }

  /** Those who read past events right now. */
  get readers(): number {
    return this.#leases.grantedCount;
  }

  /** Something was committed. */
  wake(): void {
    this.hub.wake();
  }

  /**
   * Opens a stream. `close` must be called on it. Throws LIMIT_EXCEEDED, CURSOR_IN_FUTURE, INVALID_FIELD,
   * LEDGER_UNAVAILABLE.
   */
  async subscribe(options: SubscribeOptions): Promise<OpenSubscription> {
    const leave = this.enter();
    try {
      const time = await this.#askTime();
      const start = startPosition(options.start, time) ?? endOf(time);
      const release = this.hub.hold(time);
      const subscription = new Subscription({
        ...this.#options.limits,
        hub: this.hub,
        leases: this.#leases,
        newReader: (position) => this.#newReader(this.#options.pastLedger, position),
        filter: options.filter,
        start,
        heartbeatMs: options.heartbeatMs,
        ends: options.ends,
      });
      return {
        start,
        next: () => subscription.next(),
        close() {
          subscription.close();
          release();
          leave();
        },
        get position() {
          return subscription.position;
        },
      };
    } catch (error) {
      leave();
      throw error;
    }
  }

  /**
   * Opens a watch over at most 1000 accounts. `close` must be called on it. `onlyWallet` hides what is not that
   * wallet's. Throws LIMIT_EXCEEDED, ACCOUNT_NOT_FOUND, LEDGER_UNAVAILABLE.
   */
  async watchBalances(options: WatchBalancesOptions): Promise<OpenBalanceWatch> {
    const leave = this.enter();
    try {
      const instant = await this.#askTime();
      const accounts = await this.#findAccounts(options, instant);
      const release = this.hub.hold(instant);
      const watch = new BalanceWatch({
        hub: this.hub,
        ledger: this.#options.ledger,
        readSumsAt: this.#options.readSumsAt,
        accounts,
        keepAliveMs: options.keepAliveMs,
        ends: options.ends,
      });
      return {
        next: () => watch.next(),
        close() {
          watch.close();
          release();
          leave();
        },
      };
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** The accounts in the order of their ids. */
  async #findAccounts(
    { accountIds, onlyWallet }: WatchBalancesOptions,
    instant: bigint,
  ): Promise<AccountRecord[]> {
    const { ledger } = this.#options;
    const visible = onlyWallet === undefined ? undefined : accountsOfWallets([onlyWallet]);
    const byId = new Map<bigint, AccountRecord>();
    const wanted = accountIds.filter((id) => visible?.has(id) ?? true);
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

  /** Takes one of the places for subscribers; call the result to give it back. Throws LIMIT_EXCEEDED. */
  enter(): () => void {
    const { subscribersMax } = this.#options.limits;
    if (this.#subscribers >= subscribersMax) {
      throw new DomainError("LIMIT_EXCEEDED", "This process has as many subscribers as it takes.", {
        metadata: { limit: String(subscribersMax), what: "subscribers" },
      });
    }
    this.#subscribers += 1;
    let isIn = true;
    return () => {
      if (isIn) this.#subscribers -= 1;
      isIn = false;
    };
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
      rowsMax: this.#options.limits.pageRowsMax,
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
  readonly onlyWallet: string | undefined;
  readonly keepAliveMs: number;
  readonly ends: StreamEnds;
}

export type OpenBalanceWatch = Pick<BalanceWatch, "next" | "close">;

export interface OpenSubscription extends Pick<Subscription, "next" | "close" | "position"> {
  readonly start: Position;
}

/** The place that a start names at a time of the ledger; undefined for now. Throws CURSOR_IN_FUTURE, INVALID_FIELD. */
function startPosition(start: StreamStart, time: bigint): Position | undefined {
  switch (start.kind) {
    case "now":
      return undefined;
    case "earliest":
      return beginning;
    case "cursor":
      if (start.position.timestamp > time) {
        throw new DomainError("CURSOR_IN_FUTURE", "The cursor lies ahead of the ledger's time.", {
          metadata: {
            headTime: formatInstant(time),
            cursorTime: formatInstant(start.position.timestamp),
          },
        });
      }
      return start.position;
    case "since":
      if (start.timestamp > time) {
        throw invalidField("since_time", "time.future", "must not lie in the future");
      }
      return start.timestamp <= 1n ? beginning : endOf(start.timestamp - 1n);
  }
}

const nanosecondsPerSecond = 1_000_000_000n;

/** An instant as RFC 3339 text with nanoseconds. `timestamp`: u64 nanoseconds. */
function formatInstant(timestamp: bigint): string {
  const milliseconds = Number((timestamp / nanosecondsPerSecond) * 1_000n);
  const seconds = new Date(milliseconds).toISOString().slice(0, -".000Z".length);
  return `${seconds}.${(timestamp % nanosecondsPerSecond).toString().padStart(9, "0")}Z`;
}
