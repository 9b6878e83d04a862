/** A line may be written, and so many like it were left out since the last one; undefined: this one is left out too. */
export type Allowance = { readonly leftOut: number } | undefined;

/**
 * Bounds how many lines of a kind go into a log, so that an outage which every call meets does not fill the disk that
 * it is told on. Nothing is left out silently: the next line says how many were.
 */
export class LineBudget {
  readonly #linesMax: number;
  readonly #windowMs: number;
  readonly #nowMs: () => number;
  #windowEndsMs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #leftOut = 0;

  /** At most `linesMax` lines in any `windowMs` milliseconds that begin with a line. `nowMs`: a clock that never goes back. */
  constructor(linesMax: number, windowMs: number, nowMs: () => number = () => performance.now()) {
    this.#linesMax = linesMax;
    this.#windowMs = windowMs;
    this.#nowMs = nowMs;
  }

  /** Asks for one line. */
  take(): Allowance {
    const nowMs = this.#nowMs();
    if (nowMs >= this.#windowEndsMs) {
      this.#windowEndsMs = nowMs + this.#windowMs;
      this.#lines = 0;
    }
    if (this.#lines >= this.#linesMax) {
      this.#leftOut += 1;
      return undefined;
    }
    this.#lines += 1;
    const leftOut = this.#leftOut;
    this.#leftOut = 0;
    return { leftOut };
  }
}
