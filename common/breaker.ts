/** Which lines are silent, 1 or 0, in memory that the threads of a process share: what one notices holds for all. */
export type BreakerCells = Int32Array;

/** Cells for as many lines: connections to the same thing, each of which answers by itself. None is silent. */
export function createBreakerCells(lines: number): BreakerCells {
  return new Int32Array(new SharedArrayBuffer(lines * Int32Array.BYTES_PER_ELEMENT));
}

export interface BreakerOptions {
  readonly cells: BreakerCells;
  /** How long a line may answer nothing while somebody waits, in milliseconds. */
  readonly silenceMs: number;
}

/** Tells whether something that may hang for ever is worth asking. One for each thread; over the same cells they agree. */
export interface Breaker {
  /** A line of this thread. `index`: its cell. `probe`: makes a request over it, by `watch`, that changes nothing. */
  line(index: number, probe: () => Promise<unknown>): BreakerLine;
  /** True while some line, of whatever thread, has answered nothing for too long to somebody who waits. */
  isOpen(): boolean;
  /** Calls back whenever somebody on this thread notices that the breaker has opened or closed. */
  onChange(listener: (isOpen: boolean) => void): void;
  /** Looks and probes no more. */
  close(): void;
}

export interface BreakerLine {
  /** Makes a request over the line and takes notice of its end. Its outcome is passed on. */
  watch<T>(request: () => Promise<T>): Promise<T>;
}

/** How often lines are looked at that somebody waits on, and how often a silent one is probed, in milliseconds. */
export const lookEveryMs = 250;

/**
 * Closed until a line falls silent, and open until that line answers again. Silence is counted in looks, not by the
 * clock: while this process itself stands still it looks at nothing, and does not blame others for what it has not read.
 */
export function createBreaker({ cells, silenceMs }: BreakerOptions): Breaker {
  // One more, for at the first look a request may be brand-new.
  const silentLooks = Math.ceil(silenceMs / lookEveryMs) + 1;
  const own: Line[] = [];
  const listeners: ((isOpen: boolean) => void)[] = [];
  let wasOpen = false;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  const isOpen = (): boolean => {
    let open = false;
    for (let index = 0; index < cells.length && !open; index += 1)
      open = Atomics.load(cells, index) !== 0;
    if (open !== wasOpen) {
      wasOpen = open;
      for (const listener of listeners) listener(open);
    }
    return open;
  };

  /** Nothing is due while nobody waits. */
  const lookSoon = () => {
    if (timer !== undefined || closed) return;
    timer = setTimeout(() => {
      timer = undefined;
      for (const line of own) line.look();
      // While another thread's line is silent as well: somebody here must hear of its end.
      if (isOpen() || own.some((line) => line.isAwaited)) lookSoon();
    }, lookEveryMs);
    timer.unref();
  };

  return {
    line(index, probe) {
      const line = new Line({ cells, index, silentLooks, probe, lookSoon, onAnswer: isOpen });
      own.push(line);
      return line;
    },
    isOpen,
    onChange: (listener) => void listeners.push(listener),
    close() {
      closed = true;
      clearTimeout(timer);
      for (const line of own) line.close();
    },
  };
}

interface LineOptions {
  readonly cells: BreakerCells;
  readonly index: number;
  readonly silentLooks: number;
  readonly probe: () => Promise<unknown>;
  readonly lookSoon: () => void;
  readonly onAnswer: () => void;
}

class Line implements BreakerLine {
  readonly #options: LineOptions;
  #waiting = 0;
  /** How often somebody waited when it was looked at, since it last answered. */
  #looks = 0;
  #isProbing = false;

  constructor(options: LineOptions) {
    this.#options = options;
  }

  get isAwaited(): boolean {
    return this.#waiting > 0;
  }

  async watch<T>(request: () => Promise<T>): Promise<T> {
    this.#waiting += 1;
    this.#options.lookSoon();
    try {
      const answer = await request();
      this.#looks = 0;
      this.#tell(0);
      this.#options.onAnswer();
      return answer;
    } finally {
      // What broke off is no answer: a line that was silent is so until a probe is answered.
      this.#waiting -= 1;
    }
  }

  look(): void {
    const { cells, index, silentLooks } = this.#options;
    this.#looks = this.#waiting === 0 ? 0 : this.#looks + 1;
    if (this.#looks >= silentLooks) this.#tell(1);
    if (Atomics.load(cells, index) !== 0) this.#probe();
  }

  close(): void {
    this.#tell(0);
  }

  /** One at a time, for a line that is silent may keep it for ever. */
  #probe(): void {
    if (this.#isProbing) return;
    this.#isProbing = true;
    const done = () => {
      this.#isProbing = false;
    };
    this.#options.probe().then(done, done);
  }

  #tell(silent: 0 | 1): void {
    const { cells, index } = this.#options;
    Atomics.store(cells, index, silent);
  }
}
