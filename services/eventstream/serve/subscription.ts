import { type ClosingReason, type StreamEnds, StreamLife } from "#common/stream-life.ts";
import { comparePositions, type Position } from "#common/wire/cursor.ts";
import type { EventFilter } from "../live/filter.ts";
import type { Hub } from "../live/hub.ts";
import type { Interest } from "../live/interests.ts";
import type { StreamEvent } from "../read/event.ts";
import { PastEvents, type PastEventsOptions } from "./past.ts";

/** What a subscriber is told. `position` is where the stream stands after it. */
export type StreamMessage =
  | { readonly kind: "opened"; readonly position: Position; readonly head: Position }
  | { readonly kind: "event"; readonly position: Position; readonly event: StreamEvent }
  | { readonly kind: "bookmark"; readonly position: Position; readonly head: Position }
  | { readonly kind: "closing"; readonly position: Position; readonly reason: ClosingReason };

export interface SubscriptionOptions extends Omit<PastEventsOptions, "interest"> {
  readonly hub: Hub;
  readonly filter: EventFilter;
  /** Events after this place are told. */
  readonly start: Position;
  readonly heartbeatMs: number;
  readonly ends: StreamEnds;
  /** An instant that the ledger told just now. */
  readonly time: bigint;
  /** Gives the subscriber's place back. */
  readonly leave: () => void;
}

/**
 * One subscriber's way through the events. Nothing is kept for him: he is told an event when he asks for the next
 * message, from the ring while it has what he needs, else from what is read from the ledger. Holds his place and the
 * hub until `close`.
 */
export class Subscription {
  readonly #hub: Hub;
  readonly #life: StreamLife;
  readonly #interest: Interest;
  readonly #past: PastEvents;
  #isOpened = false;
  /** The head that `opened` named, while the stream is behind it. */
  #openedHead: Position | undefined;

  constructor(options: SubscriptionOptions) {
    const { hub, filter, start, heartbeatMs, ends, time, leave } = options;
    this.#hub = hub;
    this.#life = new StreamLife({ ends, beatMs: heartbeatMs });
    this.#life.own(leave);
    this.#life.own(hub.hold(time));
    this.#interest = {
      filter,
      at: start,
      isJoined: false,
      firstMatch: undefined,
      wake: this.#life.wake,
    };
    this.#past = new PastEvents({ ...options, interest: this.#interest });
  }

  /** Where the stream stands. */
  get position(): Position {
    return this.#interest.at;
  }

  /**
   * The next message. Throws CANCELLED when the caller has left, DRAINING after `closing`, LEDGER_UNAVAILABLE and
   * RECORDS_UNAVAILABLE when they could not be reached for too long.
   */
  async next(): Promise<StreamMessage> {
    this.#past.setIdle(false);
    const message = await this.#next();
    this.#past.setIdle(true);
    return message;
  }

  /** Lets go of everything. Safe to repeat. */
  close(): void {
    this.#hub.leave(this.#interest);
    this.#hub.forget(this.#life.wake);
    this.#past.stop();
    this.#life.close();
  }

  async #next(): Promise<StreamMessage> {
    const life = this.#life;
    const interest = this.#interest;
    for (;;) {
      life.throwIfOver("resume it");
      if (!this.#isOpened) return this.#open();
      if (life.ending !== undefined) {
        life.finish();
        return { kind: "closing", position: interest.at, reason: life.ending };
      }
      if (life.takeBeat()) {
        this.#hub.passQuiet(interest);
        this.#hasCaughtUp();
        return this.#bookmark();
      }
      const event = interest.isJoined ? this.#hub.take(interest) : await this.#past.take();
      if (event !== undefined) return { kind: "event", position: event.position, event };
      this.#throwFailure();
      if (this.#hasCaughtUp()) return this.#bookmark();
      if (interest.isJoined || !this.#advance()) await life.wait();
    }
  }

  #open(): StreamMessage {
    const { newest } = this.#hub;
    this.#isOpened = true;
    if (comparePositions(this.#interest.at, newest) < 0) {
      this.#openedHead = newest;
      // Maybe nothing that matches comes from here on, and nothing else would wake us.
      this.#hub.callAt(newest, this.#life.wake);
    }
    return { kind: "opened", position: this.#interest.at, head: newest };
  }

  #bookmark(): StreamMessage {
    return { kind: "bookmark", position: this.#interest.at, head: this.#hub.newest };
  }

  /** True once: when a stream that started behind the head has told everything up to it, and goes on live. */
  #hasCaughtUp(): boolean {
    if (this.#openedHead === undefined || !this.#interest.isJoined) return false;
    if (comparePositions(this.#interest.at, this.#openedHead) < 0) return false;
    this.#openedHead = undefined;
    return true;
  }

  /** Joins the ring, or reads on from the ledger. True if there may be something to take at once. */
  #advance(): boolean {
    if (this.#past.isAtHand) return true;
    if (this.#past.isReading) return false;
    if (this.#hub.ring.covers(this.#interest.at)) {
      this.#past.stop();
      this.#hub.join(this.#interest);
      return true;
    }
    this.#past.request();
    return false;
  }

  #throwFailure(): void {
    const { failure } = this.#hub;
    if (failure !== undefined) throw failure;
    this.#past.throwIfFailing();
  }
}
