import { timerMaxMs } from "./deadline.ts";
import { DomainError } from "./domain-error.ts";

/** Why a stream ends as planned. */
export type ClosingReason = "draining" | "max_age" | "credentials_expired";

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

export interface StreamLifeOptions {
  readonly ends: StreamEnds;
  /** How often the stream is woken at least, in milliseconds: no wait lasts longer. */
  readonly beatMs: number;
}

/**
 * What every stream of ours has in common, whatever it tells: it waits until it is woken, beats when it is quiet, ends
 * when the caller leaves, the process drains or its time is up, and gives back what it holds.
 */
export class StreamLife {
  readonly #ends: StreamEnds;
  readonly #beat: NodeJS.Timeout;
  readonly #endTimer: NodeJS.Timeout;
  readonly #releases: (() => void)[] = [];
  #ending: ClosingReason | undefined;
  #isOver = false;
  #isBeatDue = false;
  #isWoken = false;
  #resume: (() => void) | undefined;

  constructor({ ends, beatMs }: StreamLifeOptions) {
    this.#ends = ends;
    this.#beat = setInterval(this.#onBeat, beatMs);
    const lifeMs = Math.min(Math.max(0, ends.endsAtMs - Date.now()), timerMaxMs);
    this.#endTimer = setTimeout(() => this.#end(ends.endsBecause), lifeMs);
    ends.signal.addEventListener("abort", this.wake, { once: true });
    ends.drain.addEventListener("abort", this.#onDrain, { once: true });
    if (ends.drain.aborted) this.#onDrain();
  }

  /** Why the stream has to end now; undefined while it goes on. The first reason stays. */
  get ending(): ClosingReason | undefined {
    return this.#ending;
  }

  /** Takes the beat that is due: true once for each, late ones count as one. */
  takeBeat(): boolean {
    const isDue = this.#isBeatDue;
    this.#isBeatDue = false;
    return isDue;
  }

  /** Throws CANCELLED when the caller has left, DRAINING when the stream is over. `advice`: how to go on then. */
  throwIfOver(advice: string): void {
    if (this.#ends.signal.aborted) throw new DomainError("CANCELLED", "The caller gave up.");
    if (this.#isOver) throw new DomainError("DRAINING", `The stream has ended; ${advice}.`);
  }

  /** Ends the wait; one that nobody waits for ends the next one. */
  readonly wake = (): void => {
    this.#isWoken = true;
    this.#resume?.();
    this.#resume = undefined;
  };

  /** Waits until something wakes the stream, at the latest until its next beat. False when it has to end. */
  async wait(): Promise<boolean> {
    if (!this.#isWoken && this.#goesOn()) {
      await new Promise<void>((resolve) => {
        this.#resume = resolve;
      });
    }
    this.#isWoken = false;
    return this.#goesOn();
  }

  /** Leaves something to the stream: `close` gives it back, what came last first. */
  own(release: () => void): void {
    this.#releases.push(release);
  }

  /** The last message is out: from now on `throwIfOver` throws. */
  finish(): void {
    this.#isOver = true;
  }

  /** Lets go of everything. Safe to repeat. */
  close(): void {
    this.#isOver = true;
    clearInterval(this.#beat);
    clearTimeout(this.#endTimer);
    this.#ends.signal.removeEventListener("abort", this.wake);
    this.#ends.drain.removeEventListener("abort", this.#onDrain);
    for (const release of this.#releases.splice(0).reverse()) release();
    this.wake();
  }

  #goesOn(): boolean {
    return !this.#isOver && this.#ending === undefined && !this.#ends.signal.aborted;
  }

  #end(reason: ClosingReason): void {
    this.#ending ??= reason;
    this.wake();
  }

  readonly #onBeat = (): void => {
    this.#isBeatDue = true;
    this.wake();
  };

  readonly #onDrain = (): void => {
    this.#end("draining");
  };
}
