import { DomainError } from "#common/domain-error.ts";
import type { LedgerReader } from "#common/ledger/reader.ts";
import { beginning, comparePositions, endOf, type Position } from "#common/wire/cursor.ts";
import type { StreamEvent } from "../read/event.ts";
import type { EventBatch, EventReader } from "../read/reader.ts";
import { type Interest, Interests } from "./interests.ts";
import { Ring } from "./ring.ts";

export interface HubOptions {
  readonly ledger: Pick<LedgerReader, "clusterTime" | "rowsMax">;
  newReader(start: Position): EventReader;
  /** The most events, and transfers of events, in the ring. */
  readonly ringEventsMax: number;
  readonly ringTransfersMax: number;
  /** How far before now the ring starts: whoever comes from another replica finds his place in it. Nanoseconds. */
  readonly lookBackNs: bigint;
  /** The longest pause between two rounds, in milliseconds. It covers wake-ups that got lost. */
  readonly pollMs: number;
  /** The pause between two rounds while nobody listens. An alarm comes at most so much later, and a round. */
  readonly idlePollMs: number;
  /** The pause after a round that failed. */
  readonly retryMs: number;
  /** How long rounds may fail before those who listen are told. */
  readonly unavailableAfterMs: number;
  readonly observer: HubObserver;
}

/** Who watches the hub, for metrics and alarms. */
export interface HubObserver {
  /** An event that no evidence stands for: someone wrote past Clearing. */
  unattested(event: StreamEvent): void;
  roundDone(durationMs: number, events: number): void;
  roundFailed(error: unknown): void;
}

/**
 * Follows the end of the ledger for everyone in the process: it reads in rounds, one at a time, and puts what is new
 * into one ring. While someone listens a wake-up or time starts a round; while nobody does, only time, and seldom: then
 * it is for the alarm alone, and each round costs the ledger requests.
 */
export class Hub {
  readonly interests = new Interests();
  readonly #options: HubOptions;
  #ring: Ring;
  #tail: EventReader;
  #head: Position;
  #newest: Position;
  #holders = 0;
  #isFollowed = false;
  /** The ledger has told its time once, and the ring starts a little before that. */
  #isBegun = false;
  #isRunning = false;
  #isWanted = false;
  /** When a round has to ask the ledger its time, in milliseconds of `performance.now()`. */
  #probeDueMs = 0;
  #failure: { readonly error: unknown; readonly sinceMs: number } | undefined;
  #endPause: (() => void) | undefined;
  /** Who is called when the head reaches which place. */
  readonly #calls = new Map<() => void, Position>();

  constructor(options: HubOptions) {
    this.#options = options;
    // Where the ledger ends is not known yet: its first answer, or the first who listens, brings its time.
    [this.#ring, this.#tail, this.#head] = this.#open(0n);
    this.#newest = this.#head;
  }

  get ring(): Ring {
    return this.#ring;
  }

  /** The end of the newest instant up to which every event is, or was, in the ring. */
  get head(): Position {
    return this.#head;
  }

  /** The end of the newest instant that the ledger told: what is between the head and this is still being read. */
  get newest(): Position {
    return this.#newest;
  }

  /** Why rounds have been failing for too long, or undefined. A fault of ours is no outage that may pass: it is told at once. */
  get failure(): unknown {
    if (this.#failure === undefined) return undefined;
    const { error, sinceMs } = this.#failure;
    const mayPass = error instanceof DomainError;
    const isYoung = performance.now() - sinceMs < this.#options.unavailableAfterMs;
    return mayPass && isYoung ? undefined : error;
  }

  /** Open reservations that the tail keeps in mind. */
  get openLegs(): number {
    return this.#tail.openLegs;
  }

  /** Whether an instant lies between the ends of two legs that expire as one event. */
  isInsideExpiry(timestamp: bigint): boolean {
    return this.#tail.isInsideExpiry(timestamp);
  }

  /**
   * Follows the ledger from now on, whether anyone listens or not, from `lookBackNs` before the time of its first
   * answer; call the result to stop. Whoever wrote past Clearing earlier than that is found by an audit.
   */
  follow(): () => void {
    this.#isFollowed = true;
    this.#start();
    return () => {
      this.#isFollowed = false;
      if (!this.#isWatched) this.#endPause?.();
    };
  }

  /**
   * Someone listens from now on; call the result when he leaves. Polling runs while anyone does. `time`: an instant
   * that the ledger told just now.
   */
  hold(time: bigint): () => void {
    this.#holders += 1;
    this.#begin(time);
    this.#noteTime(time);
    if (this.#holders === 1) this.#quicken();
    this.#start();
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#holders -= 1;
      if (!this.#isWatched) this.#endPause?.();
    };
  }

  /** Registers one who stands at a place that the ring covers: from now on he is woken, and takes from the ring. */
  join(interest: Interest): void {
    const next = this.#ring.sequenceAfter(interest.at);
    interest.firstMatch = next < this.#ring.nextSequence ? next : undefined;
    interest.isJoined = true;
    this.interests.add(interest);
  }

  /** Safe to repeat. */
  leave(interest: Interest): void {
    this.interests.remove(interest);
    interest.firstMatch = undefined;
    interest.isJoined = false;
  }

  /**
   * The next event in the ring for one who has joined; he stands behind it then. Undefined: he has heard everything up
   * to the head, or the ring has moved on past what he needs. Then he is not joined any more.
   */
  take(interest: Interest): StreamEvent | undefined {
    while (interest.firstMatch !== undefined) {
      const sequence = interest.firstMatch;
      const event = this.#ring.get(sequence);
      if (event === undefined) {
        this.leave(interest);
        return undefined;
      }
      interest.firstMatch = sequence + 1 < this.#ring.nextSequence ? sequence + 1 : undefined;
      if (comparePositions(event.position, interest.at) <= 0) continue;
      interest.at = event.position;
      if (interest.filter.matches(event)) return event;
    }
    this.passQuiet(interest);
    return undefined;
  }

  /** Moves one who has no untold match in the ring up to the head: everything until there has been told. */
  passQuiet(interest: Interest): void {
    if (!interest.isJoined || interest.firstMatch !== undefined) return;
    if (comparePositions(this.#head, interest.at) > 0) interest.at = this.#head;
  }

  /** Calls back, once, when the head has moved to a place or beyond. One call for each function. */
  callAt(position: Position, call: () => void): void {
    this.#calls.set(call, position);
  }

  /** Takes a call back. */
  forget(call: () => void): void {
    this.#calls.delete(call);
  }

  /** Something was committed: starts a round now, or another one when the running one is done. */
  wake(): void {
    this.#isWanted = true;
    // A round that failed is not repeated faster because others still commit, nor one that nobody waits for.
    if (this.#failure === undefined && this.#holders > 0) this.#endPause?.();
  }

  /** Whether rounds go on. */
  get #isWatched(): boolean {
    return this.#isFollowed || this.#holders > 0;
  }

  /** What has waited for a slow round need not wait any longer: someone has come. */
  #quicken(): void {
    this.#probeDueMs = 0;
    if (this.#failure === undefined) this.#endPause?.();
  }

  #begin(time: bigint): void {
    // One that has rested for long starts anew: that is cheaper than to read what nobody waits for.
    const isRested = !this.#isRunning && time - this.#head.timestamp > this.#options.lookBackNs;
    if (this.#isBegun && !isRested) return;
    this.#isBegun = true;
    [this.#ring, this.#tail, this.#head] = this.#open(time);
  }

  #open(time: bigint): [Ring, EventReader, Position] {
    const { lookBackNs, ringEventsMax, ringTransfersMax } = this.#options;
    const floor = time > lookBackNs ? endOf(time - lookBackNs) : beginning;
    const ring = new Ring({
      eventsMax: ringEventsMax,
      transfersMax: ringTransfersMax,
      floor,
    });
    return [ring, this.#options.newReader(floor), floor];
  }

  #start(): void {
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    this.#probeDueMs = 0;
    this.#failure = undefined;
    while (this.#isWatched) {
      const isWoken = this.#isWanted && this.#holders > 0;
      this.#isWanted = false;
      const startMs = performance.now();
      try {
        const events = await this.#round(isWoken);
        this.#failure = undefined;
        this.#options.observer.roundDone(performance.now() - startMs, events);
      } catch (error) {
        this.#fail(error, startMs);
      }
      if (this.#isWatched) await this.#pause();
    }
    this.#isRunning = false;
  }

  #fail(error: unknown, startMs: number): void {
    // What was given up together with the round is no failure.
    if (!this.#isWatched) return;
    this.#failure = { error, sinceMs: this.#failure?.sinceMs ?? startMs };
    this.#options.observer.roundFailed(error);
    if (this.failure !== undefined) this.interests.wakeAll();
  }

  /**
   * What we are woken for shows by itself. The ledger's time, which moves on without any commit, is asked for now and
   * then: for what runs out, for bookmarks, and when there is more than a look can tell.
   */
  async #round(isWoken: boolean): Promise<number> {
    const { ledger, pollMs } = this.#options;
    let events = 0;
    if (isWoken) {
      const seen = await this.#tail.look(ledger.rowsMax);
      if (seen === undefined) this.#probeDueMs = 0;
      else events += await this.#readTo(seen);
    }
    const nowMs = performance.now();
    if (nowMs < this.#probeDueMs) return events;
    const time = await ledger.clusterTime();
    this.#begin(time);
    events += await this.#readTo(time);
    this.#probeDueMs = nowMs + pollMs;
    return events;
  }

  async #readTo(time: bigint): Promise<number> {
    this.#noteTime(time);
    let events = 0;
    for (;;) {
      const batch = await this.#tail.read(time, this.#options.ledger.rowsMax);
      this.#publish(batch);
      events += batch.events.length;
      if (batch.through >= time) return events;
    }
  }

  #publish(batch: EventBatch): void {
    for (const event of batch.events) {
      if (event.evidence === undefined && event.account === undefined) {
        this.#options.observer.unattested(event);
      }
      this.interests.tell(event, this.#ring.push(event));
    }
    this.#head = batch.through === this.#newest.timestamp ? this.#newest : endOf(batch.through);
    for (const [call, position] of this.#calls) {
      if (comparePositions(position, this.#head) > 0) continue;
      this.#calls.delete(call);
      call();
    }
  }

  #noteTime(time: bigint): void {
    if (time > this.#newest.timestamp) this.#newest = endOf(time);
  }

  #pause(): Promise<void> {
    const hasFailed = this.#failure !== undefined;
    const isIdle = this.#holders === 0;
    if (this.#isWanted && !hasFailed && !isIdle) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#endPause = undefined;
        resolve();
      };
      const { retryMs, idlePollMs } = this.#options;
      const untilProbeMs = Math.max(0, this.#probeDueMs - performance.now());
      const busyMs = hasFailed ? retryMs : untilProbeMs;
      const timer = setTimeout(end, isIdle ? idlePollMs : busyMs);
      this.#endPause = end;
    });
  }
}
