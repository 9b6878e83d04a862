import { comparePositions, type Position } from "#common/wire/cursor.ts";
import type { StreamEvent } from "../read/event.ts";

/** The newest events of the process, shared by everyone who listens. Bounded; the oldest leave first. */
export class Ring {
  readonly #slots: (StreamEvent | undefined)[];
  readonly #transfersMax: number;
  #transfers = 0;
  #firstSequence = 0;
  #nextSequence = 0;
  #floor: Position;

  /** `floor`: every event after it, from the first push on, is in the ring until it has to leave. */
  constructor(options: { eventsMax: number; transfersMax: number; floor: Position }) {
    this.#slots = new Array<StreamEvent | undefined>(options.eventsMax);
    this.#transfersMax = options.transfersMax;
    this.#floor = options.floor;
  }

  /** Every event after this place that was pushed is in the ring. */
  get floor(): Position {
    return this.#floor;
  }

  /** The number that the next event gets. Numbers count up from 0 and mean nothing outside of this ring. */
  get nextSequence(): number {
    return this.#nextSequence;
  }

  get size(): number {
    return this.#nextSequence - this.#firstSequence;
  }

  push(event: StreamEvent): number {
    const sequence = this.#nextSequence;
    while (this.size > 0 && this.#isFull(event)) this.#dropFirst();
    this.#slots[sequence % this.#slots.length] = event;
    this.#transfers += event.transfers.length;
    this.#nextSequence += 1;
    return sequence;
  }

  /** The event of a number, or undefined if it has left. */
  get(sequence: number): StreamEvent | undefined {
    if (sequence < this.#firstSequence || sequence >= this.#nextSequence) return undefined;
    return this.#slots[sequence % this.#slots.length];
  }

  /** Whether all events after a place are here. */
  covers(position: Position): boolean {
    return comparePositions(this.#floor, position) <= 0;
  }

  /** The number of the first event after a place that the ring covers. */
  sequenceAfter(position: Position): number {
    let low = this.#firstSequence;
    let high = this.#nextSequence;
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2);
      const event = this.get(middle);
      if (event === undefined) throw new RangeError("the ring has a hole");
      if (comparePositions(event.position, position) > 0) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #isFull(next: StreamEvent): boolean {
    return (
      this.size === this.#slots.length ||
      this.#transfers + next.transfers.length > this.#transfersMax
    );
  }

  #dropFirst(): void {
    const slot = this.#firstSequence % this.#slots.length;
    const event = this.#slots[slot];
    this.#slots[slot] = undefined;
    this.#firstSequence += 1;
    if (event === undefined) return;
    this.#transfers -= event.transfers.length;
    this.#floor = event.position;
  }
}
