import { setImmediate as nextTurn } from "node:timers/promises";
import { DomainError } from "#common/domain-error.ts";
import { comparePositions, endOf, type Position } from "#common/wire/cursor.ts";
import type { Hub } from "../live/hub.ts";
import type { Interest } from "../live/interests.ts";
import type { Lease, Leases } from "../live/leases.ts";
import type { StreamEvent } from "../read/event.ts";
import type { EventReader } from "../read/reader.ts";

export interface PastEventsOptions {
  readonly hub: Hub;
  readonly leases: Leases;
  newReader(start: Position): EventReader;
  /** The most rows of a batch. */
  readonly batchRowsMax: number;
  readonly retryMs: number;
  /** How long reads may fail before the subscriber is told. */
  readonly unavailableAfterMs: number;
  /** Whose events these are; he is moved on as he takes them, and woken when there may be more. */
  readonly interest: Interest;
}

/** The first batch is small: most of those who come late are late by little. */
const firstBatchRows = 512;
/** The batch of one who was so slow that others had to wait for him. */
const slowBatchRows = 64;
/** The batch at hand and the next. */
const batchesMax = 2;
/** So many past events in a row, then others get their turn. */
const eventsPerTurn = 64;

interface Batch {
  readonly events: readonly StreamEvent[];
  next: number;
  readonly through: bigint;
}

/**
 * The events between where one subscriber stands and what the ring has, read from the ledger under a lease: the batch
 * at hand, and the next one, which is read meanwhile.
 */
export class PastEvents {
  readonly #options: PastEventsOptions;
  #lease: Lease | undefined;
  #reader: EventReader | undefined;
  #batches: Batch[] = [];
  #rows = firstBatchRows;
  #toldThisTurn = 0;
  #isReading = false;
  #failure: { readonly error: unknown; readonly sinceMs: number } | undefined;

  constructor(options: PastEventsOptions) {
    this.#options = options;
  }

  /** Whether there is something to take. */
  get isAtHand(): boolean {
    return this.#batches.length > 0;
  }

  get isReading(): boolean {
    return this.#isReading;
  }

  /** Says whether the subscriber's client has to take a message before he asks for more. */
  setIdle(isIdle: boolean): void {
    this.#lease?.setIdle(isIdle);
  }

  /** The next matching event of the batch at hand; undefined at its end, and when there is none. */
  async take(): Promise<StreamEvent | undefined> {
    if (this.#batches.length === 0) return undefined;
    this.#readAhead();
    this.#toldThisTurn += 1;
    if (this.#toldThisTurn >= eventsPerTurn) {
      this.#toldThisTurn = 0;
      await nextTurn();
    }
    // Looked at after the turn: the lease, and the batches with it, may have been revoked meanwhile.
    const [batch] = this.#batches;
    if (batch === undefined) return undefined;
    const { interest } = this.#options;
    while (batch.next < batch.events.length) {
      const event = batch.events[batch.next];
      batch.next += 1;
      if (event === undefined) break;
      interest.at = event.position;
      if (interest.filter.matches(event)) return event;
    }
    const end = endOf(batch.through);
    if (comparePositions(end, interest.at) > 0) interest.at = end;
    this.#batches.shift();
    return undefined;
  }

  /** Reads on from where the subscriber stands, as soon as he gets a lease. He is woken when there is something. */
  request(): void {
    const { leases, interest } = this.#options;
    this.#lease ??= leases.request({ granted: () => interest.wake(), revoked: this.#revoked });
    if (this.#lease.state === "granted") void this.#read();
  }

  /**
   * Throws LEDGER_UNAVAILABLE or RECORDS_UNAVAILABLE when they could not be reached for too long. A fault of ours is no
   * outage that may pass: it is thrown at once.
   */
  throwIfFailing(): void {
    if (this.#failure === undefined) return;
    const { error, sinceMs } = this.#failure;
    const mayPass = error instanceof DomainError;
    if (!mayPass || performance.now() - sinceMs >= this.#options.unavailableAfterMs) throw error;
  }

  /** The ring has what follows, or the stream is over. Safe to repeat. */
  stop(): void {
    this.#drop();
    this.#rows = firstBatchRows;
  }

  /** Reads the next batch while this one is told, unless the ring will have what follows. */
  #readAhead(): void {
    const last = this.#batches.at(-1);
    if (this.#isReading || last === undefined || this.#batches.length >= batchesMax) return;
    if (this.#lease?.state !== "granted") return;
    if (!this.#options.hub.ring.covers(endOf(last.through))) void this.#read();
  }

  async #read(): Promise<void> {
    const { hub, newReader, batchRowsMax, retryMs, interest } = this.#options;
    this.#isReading = true;
    this.#reader ??= newReader(interest.at);
    const reader = this.#reader;
    try {
      const { events, through } = await reader.read(hub.head.timestamp, this.#rows);
      if (this.#reader === reader) {
        this.#batches.push({ events, next: 0, through });
        this.#rows = Math.min(this.#rows * 2, batchRowsMax);
      }
      this.#failure = undefined;
    } catch (error) {
      this.#failure = { error, sinceMs: this.#failure?.sinceMs ?? performance.now() };
      // The reader goes on where it stopped; only not at once.
      setTimeout(this.#readAgain, retryMs);
      interest.wake();
      return;
    }
    this.#readAgain();
  }

  readonly #readAgain = (): void => {
    this.#isReading = false;
    this.#options.interest.wake();
  };

  readonly #revoked = (): void => {
    this.#drop();
    this.#rows = slowBatchRows;
  };

  #drop(): void {
    this.#lease?.release();
    this.#lease = undefined;
    this.#reader = undefined;
    this.#batches = [];
  }
}
