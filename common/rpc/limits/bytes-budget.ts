import { limitExceeded } from "./limit-exceeded.ts";

/** What a request has of the budget. */
export interface BytesClaim {
  /** So many more bytes are there. Throws LIMIT_EXCEEDED if they are beyond what was taken and no more is left. */
  arrive(bytes: number): void;
  /** Gives all of it back. Safe to repeat. */
  release(): void;
}

export interface BytesBudgetOptions {
  /** Of all methods together. */
  readonly inAllMax: number;
  /** What a request counts for before its first byte is there. */
  readonly requestMin: number;
}

/** Of one method. */
export interface MethodBytes {
  readonly path: string;
  readonly bytesMax: number;
}

/**
 * The bytes of requests that a process holds, taken when their headers say how many come, or as they come. Whoever is
 * beyond it is refused before his message is decoded: memory has a bound, whatever is sent.
 */
export class BytesBudget {
  readonly #options: BytesBudgetOptions;
  readonly #ofMethod = new Map<string, number>();
  #inAll = 0;

  constructor(options: BytesBudgetOptions) {
    this.#options = options;
  }

  /** Bytes that are taken now. */
  get taken(): number {
    return this.#inAll;
  }

  /** Takes `announced` bytes, at least a little. Throws LIMIT_EXCEEDED. */
  claim(method: MethodBytes, announced: number): BytesClaim {
    let taken = 0;
    let arrived = 0;
    let isOver = false;
    const grow = (bytes: number) => {
      if (isOver || bytes <= taken) return;
      this.#take(method, bytes - taken);
      taken = bytes;
    };
    grow(Math.max(announced, this.#options.requestMin));
    return {
      arrive(bytes) {
        arrived += bytes;
        grow(arrived);
      },
      release: () => {
        isOver = true;
        this.#giveBack(method, taken);
        taken = 0;
      },
    };
  }

  #take({ path, bytesMax }: MethodBytes, bytes: number): void {
    const { inAllMax } = this.#options;
    const ofMethod = (this.#ofMethod.get(path) ?? 0) + bytes;
    if (ofMethod > bytesMax)
      throw limitExceeded(bytesMax, "bytes of requests to one method at once");
    if (this.#inAll + bytes > inAllMax)
      throw limitExceeded(inAllMax, "bytes of requests to one process at once");
    this.#ofMethod.set(path, ofMethod);
    this.#inAll += bytes;
  }

  #giveBack({ path }: MethodBytes, bytes: number): void {
    this.#ofMethod.set(path, (this.#ofMethod.get(path) ?? 0) - bytes);
    this.#inAll -= bytes;
  }
}
