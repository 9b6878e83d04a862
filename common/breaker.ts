/**
 * What all breakers of a process know together, in memory that its threads share: how often was refused, then for each
 * line since when it has waited for an answer, monotonic nanoseconds, 0 while it waits for none.
 */
export type BreakerCells = BigInt64Array;

/** Cells for as many lines: connections to the same thing, each of which answers by itself. None waits. */
export function createBreakerCells(lines: number): BreakerCells {
  const shared = new SharedArrayBuffer((1 + lines) * BigInt64Array.BYTES_PER_ELEMENT);
  return new BigInt64Array(shared);
}

export interface BreakerOptions {
  readonly cells: BreakerCells;
  /** Monotonic nanoseconds above 0, the same for all threads. */
  readonly now: () => bigint;
  /** How long a line may answer nothing while somebody waits, in milliseconds. */
  readonly silenceMs: number;
  /** The time between two probes of a line, in milliseconds; a line has one under way at most. */
  readonly probeEveryMs: number;
  /** Hears that the breaker has opened or closed, as soon as somebody here notices. */
  readonly onChange: (isOpen: boolean) => void;
}

/** Tells whether something that may hang for ever is worth asking. One for each thread; over the same cells they agree. */
export interface Breaker {
  /** A line of this thread. `index`: its cell, from 0. `probe`: a request over it that changes nothing. */
  line(index: number, probe: () => Promise<unknown>): BreakerLine;
  /** True while some line, of whatever thread, has answered nothing for too long to somebody who waits. */
  isOpen(): boolean;
  /** As `isOpen`, for one who then asks nothing: counts him. */
  refuses(): boolean;
  /** How many were refused, on all threads. */
  readonly refusals: number;
  /** Probes no more. */
  close(): void;
}

export interface BreakerLine {
  /** Makes a request over the line and takes notice of its end. Its outcome is passed on. */
  watch<T>(request: () => Promise<T>): Promise<T>;
}

const firstLine = 1;
const nsPerMs = 1_000_000n;

/** Closed until a line falls silent. */
export function createBreaker(options: BreakerOptions): Breaker {
  const { cells, now, silenceMs, probeEveryMs, onChange } = options;
  const silenceNs = BigInt(silenceMs) * nsPerMs;
  const own: Line[] = [];
  let told = false;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  const waitedNs = (cell: number): bigint => {
    const since = Atomics.load(cells, cell);
    return since === 0n ? 0n : now() - since;
  };
  const isSilent = (cell: number) => waitedNs(cell) >= silenceNs;

  const isOpen = (): boolean => {
    let open = false;
    for (let cell = firstLine; cell < cells.length && !open; cell += 1) open = isSilent(cell);
    if (open !== told) {
      told = open;
      onChange(open);
    }
    return open;
  };

  /** Looks again when a line may have fallen silent, and while one is; nothing is due while nobody waits. */
  const arm = () => {
    if (timer !== undefined || closed) return;
    const waits = own.flatMap(({ cell }) => {
      if (Atomics.load(cells, cell) === 0n) return [];
      return isSilent(cell) ? probeEveryMs : Number(silenceNs - waitedNs(cell)) / Number(nsPerMs);
    });
    if (waits.length === 0) return;
    timer = setTimeout(look, Math.ceil(Math.min(...waits)));
    timer.unref();
  };

  const look = () => {
    timer = undefined;
    isOpen();
    for (const line of own) if (isSilent(line.cell)) line.probe();
    arm();
  };

  return {
    line(index, probe) {
      const line = new Line(firstLine + index, { ...options, isSilent, arm, probe });
      own.push(line);
      return { watch: (request) => line.watch(request).finally(isOpen) };
    },
    isOpen,
    refuses() {
      const open = isOpen();
      if (open) Atomics.add(cells, 0, 1n);
      return open;
    },
    get refusals() {
      return Number(Atomics.load(cells, 0));
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}

interface LineOptions extends Pick<BreakerOptions, "cells" | "now" | "probeEveryMs"> {
  readonly isSilent: (cell: number) => boolean;
  readonly arm: () => void;
  readonly probe: () => Promise<unknown>;
}

class Line {
  readonly cell: number;
  readonly #options: LineOptions;
  #inFlight = 0;
  #isProbing = false;
  /** When the last probe set out, nanoseconds. */
  #probed = 0n;

  constructor(cell: number, options: LineOptions) {
    this.cell = cell;
    this.#options = options;
  }

  async watch<T>(request: () => Promise<T>): Promise<T> {
    const { cells, now, isSilent, arm } = this.#options;
    this.#inFlight += 1;
    if (Atomics.load(cells, this.cell) === 0n) Atomics.store(cells, this.cell, now());
    arm();
    try {
      const answer = await request();
      this.#inFlight -= 1;
      // Others may wait on: their silence counts from this answer.
      Atomics.store(cells, this.cell, this.#inFlight === 0 ? 0n : now());
      return answer;
    } catch (error) {
      this.#inFlight -= 1;
      // What broke off is no answer: who was silent before is so until a probe is answered.
      if (this.#inFlight === 0 && !isSilent(this.cell)) Atomics.store(cells, this.cell, 0n);
      throw error;
    }
  }

  /** Sends a probe, unless one is under way or was of late. */
  probe(): void {
    const { now, probe, probeEveryMs } = this.#options;
    if (this.#isProbing || now() - this.#probed < BigInt(probeEveryMs) * nsPerMs) return;
    this.#isProbing = true;
    this.#probed = now();
    const done = () => {
      this.#isProbing = false;
    };
    probe().then(done, done);
  }
}
