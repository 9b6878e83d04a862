/** The right to read past events and to keep batches of them in memory. */
export interface Lease {
  /** `waiting` until it is granted; a revoked or released one never comes back. */
  readonly state: "waiting" | "granted" | "revoked" | "released";
  /** Says whether its holder waits for his client right now. Idle leases are revoked when others wait. */
  setIdle(isIdle: boolean): void;
  /** Gives it up, in whatever state it is. */
  release(): void;
}

export interface LeaseHolder {
  granted(): void;
  /** The lease is gone: let go of what was read. */
  revoked(): void;
}

export interface LeasesOptions {
  /** The most leases granted at once. */
  readonly grantedMax: number;
  /** How long a holder may idle while others wait, in milliseconds. */
  readonly idleMs: number;
}

interface Entry extends Lease {
  state: Lease["state"];
  idleSinceMs: number | undefined;
  readonly holder: LeaseHolder;
}

/**
 * Hands out a bounded number of leases, first come first served, so that any number of slow or late subscribers
 * costs a bounded amount of memory and of the ledger's time, and none holds the others up.
 */
export class Leases {
  readonly #options: LeasesOptions;
  readonly #granted = new Set<Entry>();
  readonly #waiting = new Set<Entry>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LeasesOptions) {
    this.#options = options;
  }

  get grantedCount(): number {
    return this.#granted.size;
  }

  request(holder: LeaseHolder): Lease {
    const entry: Entry = {
      state: "waiting",
      idleSinceMs: undefined,
      holder,
      setIdle: (isIdle) => {
        entry.idleSinceMs = isIdle ? performance.now() : undefined;
      },
      release: () => {
        this.#waiting.delete(entry);
        this.#granted.delete(entry);
        entry.state = "released";
        this.#grantNext();
      },
    };
    this.#waiting.add(entry);
    this.#grantNext();
    return entry;
  }

  #grantNext(): void {
    for (const entry of this.#waiting) {
      if (this.#granted.size >= this.#options.grantedMax) break;
      this.#waiting.delete(entry);
      this.#granted.add(entry);
      entry.state = "granted";
      entry.holder.granted();
    }
    if (this.#waiting.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    } else {
      this.#timer ??= setInterval(() => this.#revokeIdle(), this.#options.idleMs).unref();
    }
  }

  #revokeIdle(): void {
    const limitMs = performance.now() - this.#options.idleMs;
    let wanted = this.#waiting.size;
    for (const entry of this.#granted) {
      if (wanted === 0) break;
      if (entry.idleSinceMs === undefined || entry.idleSinceMs > limitMs) continue;
      this.#granted.delete(entry);
      entry.state = "revoked";
      entry.holder.revoked();
      wanted -= 1;
    }
    this.#grantNext();
  }
}
