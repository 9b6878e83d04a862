import { setImmediate as nextTurn } from "node:timers/promises";
import { DomainError } from "#common/domain-error.ts";
import { comparePositions, endOf, type Position } from "#common/wire/cursor.ts";
import type { EventHub } from "../live/hub.ts";
import type { Interest } from "../live/interests.ts";
import type { Lease, Leases } from "../live/leases.ts";
import type { StreamEvent } from "../read/event.ts";
import type { EventReader } from "../read/reader.ts";
import type { EventFilter } from "./filter.ts";

/** Why a stream ends as planned. */
export type ClosingReason = "draining" | "max_age" | "credentials_expired";

/** What a subscriber is told. `position` is where the stream stands after it. */
export type StreamMessage =
  | { readonly kind: "opened"; readonly position: Position; readonly head: Position }
  | { readonly kind: "event"; readonly position: Position; readonly event: StreamEvent }
  | { readonly kind: "bookmark"; readonly position: Position; readonly head: Position }
  | { readonly kind: "closing"; readonly position: Position; readonly reason: ClosingReason };

/** When and why a stream has to end. */
export interface StreamEnds {
  /** The caller has left. */
  readonly signal: AbortSignal;
  /** The process is shutting down. */
  readonly drain: AbortSignal;
  /** The planned end, in epoch milliseconds, and its reason. */
  readonly endsAtMs: number;
  readonly endsBecause: ClosingReason;
}

export interface SubscriptionOptions {
  readonly hub: EventHub;
  readonly leases: Leases;
  newReader(start: Position): EventReader;
  readonly filter: EventFilter;
  /** Events after this place are told. */
  readonly start: Position;
  readonly heartbeatMs: number;
  readonly ends: StreamEnds;
  /** The most rows of a page that is read from the ledger. */
  readonly pageRowsMax: number;
  readonly retryMs: number;
  readonly unavailableAfterMs: number;
}

/** The first page is small: most of those who come late are late by little. */
const firstPageRows = 512;
/** The page of one who was so slow that others had to wait for him. */
const slowPageRows = 64;
/** The page at hand and the next. */
const pagesMax = 2;
/** So many past events in a row, then others get their turn. */
const eventsPerTurn = 64;

const timerMaxMs = 2 ** 31 - 1;

interface Page {
  readonly events: readonly StreamEvent[];
  next: number;
  readonly through: bigint;
}

/**
 * One subscriber's way through the events. Nothing is kept for him: he is told an event when he asks for the next
 * message, from the ring while it has what he needs, else from a page that is read from the ledger.
 */
export class Subscription {
  readonly #options: SubscriptionOptions;
  readonly #interest: Interest;
  readonly #heartbeat: NodeJS.Timeout;
  readonly #endTimer: NodeJS.Timeout;
  /** Everything that matches up to here was told. */
  #at: Position;
  #isOpened = false;
  #isJoined = false;
  #isClosed = false;
  #isBookmarkDue = false;
  /** The head that `opened` named, while the stream is behind it. */
  #openedHead: Position | undefined;
  #ending: ClosingReason | undefined;
  #resume: (() => void) | undefined;

  // Only while reading from the ledger.
  #lease: Lease | undefined;
  #reader: EventReader | undefined;
  /** What was read and not told yet: the page at hand, and the next one, read meanwhile. */
  #pages: Page[] = [];
  #pageRows = firstPageRows;
  #toldThisTurn = 0;
  #isReading = false;
  #readFailure: { readonly error: unknown; readonly sinceMs: number } | undefined;

  constructor(options: SubscriptionOptions) {
    this.#options = options;
    this.#at = options.start;
    this.#interest = {
      filter: options.filter,
      firstMatch: undefined,
      wake: this.#wake,
    };
    const { ends } = options;
    this.#heartbeat = setInterval(this.#dueBookmark, options.heartbeatMs);
    const lifeMs = Math.min(Math.max(0, ends.endsAtMs - Date.now()), timerMaxMs);
    this.#endTimer = setTimeout(() => this.#end(ends.endsBecause), lifeMs);
    ends.signal.addEventListener("abort", this.#wake, { once: true });
    ends.drain.addEventListener("abort", this.#drain, { once: true });
    if (ends.drain.aborted) this.#drain();
  }

  /** Where the stream stands. */
  get position(): Position {
    return this.#at;
  }

  /**
   * The next message. Throws CANCELLED when the caller has left, DRAINING after `closing`, LEDGER_UNAVAILABLE and
   * RECORDS_UNAVAILABLE when they could not be reached for too long.
   */
  async next(): Promise<StreamMessage> {
    this.#lease?.setIdle(false);
    const message = await this.#next();
    this.#lease?.setIdle(true);
    return message;
  }

  /** Lets go of everything. Safe to repeat. */
  close(): void {
    clearInterval(this.#heartbeat);
    clearTimeout(this.#endTimer);
    this.#options.ends.signal.removeEventListener("abort", this.#wake);
    this.#options.ends.drain.removeEventListener("abort", this.#drain);
    if (this.#isJoined) this.#options.hub.leave(this.#interest);
    this.#isJoined = false;
    this.#isClosed = true;
    this.#options.hub.forget(this.#wake);
    this.#dropReader();
    this.#wake();
  }

  async #next(): Promise<StreamMessage> {
    const { hub, ends } = this.#options;
    for (;;) {
      if (ends.signal.aborted) throw new DomainError("CANCELLED", "The caller gave up.");
      if (this.#isClosed) throw new DomainError("DRAINING", "The stream has ended; resume it.");
      if (!this.#isOpened) {
        return this.#open();
      }
      if (this.#ending !== undefined) {
        this.#isClosed = true;
        return { kind: "closing", position: this.#at, reason: this.#ending };
      }
      if (this.#isBookmarkDue) {
        this.#isBookmarkDue = false;
        this.#passQuiet();
        this.#hasCaughtUp();
        return { kind: "bookmark", position: this.#at, head: hub.newest };
      }
      const event = this.#isJoined ? this.#takeFromRing() : await this.#takeFromPage();
      if (event !== undefined) return { kind: "event", position: event.position, event };
      this.#throwFailure();
      if (this.#hasCaughtUp()) this.#isBookmarkDue = true;
      else if (this.#isJoined || !this.#advance()) await this.#wait();
    }
  }

  #open(): StreamMessage {
    const { hub } = this.#options;
    this.#isOpened = true;
    if (comparePositions(this.#at, hub.newest) < 0) {
      this.#openedHead = hub.newest;
      // Maybe nothing that matches comes from here on, and nothing else would wake us.
      hub.callAt(hub.newest, this.#wake);
    }
    return { kind: "opened", position: this.#at, head: hub.newest };
  }

  /** True once: when a stream that started behind the head has told everything up to it, and goes on live. */
  #hasCaughtUp(): boolean {
    if (this.#openedHead === undefined || !this.#isJoined) return false;
    if (comparePositions(this.#at, this.#openedHead) < 0) return false;
    this.#openedHead = undefined;
    return true;
  }

  #takeFromRing(): StreamEvent | undefined {
    const { ring } = this.#options.hub;
    const interest = this.#interest;
    while (interest.firstMatch !== undefined) {
      const sequence = interest.firstMatch;
      const event = ring.get(sequence);
      if (event === undefined) {
        // The ring has moved on; what is missing comes from the ledger.
        this.#options.hub.leave(interest);
        this.#isJoined = false;
        return undefined;
      }
      interest.firstMatch = sequence + 1 < ring.nextSequence ? sequence + 1 : undefined;
      if (comparePositions(event.position, this.#at) <= 0) continue;
      this.#at = event.position;
      if (interest.filter.matches(event)) return event;
    }
    this.#passQuiet();
    return undefined;
  }

  /** Without an untold match in the ring, everything up to the head has been told. */
  #passQuiet(): void {
    const { head } = this.#options.hub;
    if (!this.#isJoined || this.#interest.firstMatch !== undefined) return;
    if (comparePositions(head, this.#at) > 0) this.#at = head;
  }

  async #takeFromPage(): Promise<StreamEvent | undefined> {
    if (this.#pages.length === 0) return undefined;
    this.#readAhead();
    this.#toldThisTurn += 1;
    if (this.#toldThisTurn >= eventsPerTurn) {
      this.#toldThisTurn = 0;
      await nextTurn();
    }
    // Read after the turn: the lease, and the pages with it, may have been revoked meanwhile.
    const [page] = this.#pages;
    if (page === undefined) return undefined;
    while (page.next < page.events.length) {
      const event = page.events[page.next];
      page.next += 1;
      if (event === undefined) break;
      this.#at = event.position;
      if (this.#options.filter.matches(event)) return event;
    }
    const end = endOf(page.through);
    if (comparePositions(end, this.#at) > 0) this.#at = end;
    this.#pages.shift();
    return undefined;
  }

  /** Reads the next page while this one is told, unless the ring will have what follows. */
  #readAhead(): void {
    const last = this.#pages.at(-1);
    if (this.#isReading || last === undefined || this.#pages.length >= pagesMax) return;
    if (this.#lease?.state !== "granted") return;
    if (!this.#options.hub.ring.covers(endOf(last.through))) void this.#read();
  }

  /** Joins the ring, or reads on from the ledger. True if there may be something to take at once. */
  #advance(): boolean {
    const { hub, leases } = this.#options;
    if (this.#pages.length > 0) return true;
    if (this.#isReading) return false;
    if (hub.ring.covers(this.#at)) {
      this.#dropReader();
      hub.join(this.#interest, this.#at);
      this.#isJoined = true;
      this.#pageRows = firstPageRows;
      return true;
    }
    this.#lease ??= leases.request({ granted: this.#wake, revoked: this.#revoked });
    if (this.#lease.state === "granted") void this.#read();
    return false;
  }

  async #read(): Promise<void> {
    const { hub, newReader, pageRowsMax, retryMs } = this.#options;
    this.#isReading = true;
    this.#reader ??= newReader(this.#at);
    const reader = this.#reader;
    try {
      const batch = await reader.read(hub.head.timestamp, this.#pageRows);
      if (this.#reader === reader) {
        this.#pages.push({ events: batch.events, next: 0, through: batch.through });
        this.#pageRows = Math.min(this.#pageRows * 2, pageRowsMax);
      }
      this.#readFailure = undefined;
    } catch (error) {
      this.#readFailure = { error, sinceMs: this.#readFailure?.sinceMs ?? performance.now() };
      // The reader goes on where it stopped; only not at once.
      setTimeout(this.#readAgain, retryMs);
      this.#wake();
      return;
    }
    this.#readAgain();
  }

  readonly #readAgain = (): void => {
    this.#isReading = false;
    this.#wake();
  };

  #throwFailure(): void {
    const failure = this.#options.hub.failure;
    if (failure !== undefined) throw failure;
    if (this.#readFailure === undefined) return;
    const { error, sinceMs } = this.#readFailure;
    const mayPass = error instanceof DomainError;
    if (!mayPass || performance.now() - sinceMs >= this.#options.unavailableAfterMs) throw error;
  }

  readonly #revoked = (): void => {
    this.#dropReader();
    this.#pageRows = slowPageRows;
  };

  #dropReader(): void {
    this.#lease?.release();
    this.#lease = undefined;
    this.#reader = undefined;
    this.#pages = [];
  }

  readonly #dueBookmark = (): void => {
    this.#isBookmarkDue = true;
    this.#wake();
  };

  readonly #drain = (): void => {
    this.#end("draining");
  };

  #end(reason: ClosingReason): void {
    this.#ending ??= reason;
    this.#wake();
  }

  readonly #wake = (): void => {
    this.#resume?.();
    this.#resume = undefined;
  };

  #wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#resume = resolve;
    });
  }
}
