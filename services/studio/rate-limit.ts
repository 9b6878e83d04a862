import { DomainError } from "#common/domain-error.ts";

/** How often something may happen in a minute of the clock: for one wallet, and for all together. */
export interface RateLimit {
  /** Counts one. Throws RATE_LIMITED if the wallet, or all together, had their share of this minute. */
  take(wallet: string): void;
}

export interface RateLimitOptions {
  /** Such as "fundings". */
  readonly what: string;
  readonly perWallet: number;
  /** Bounds what is remembered as well. */
  readonly perMesh: number;
  /** Epoch milliseconds. */
  readonly nowMs: () => number;
}

const minuteMs = 60_000;

export function createRateLimit(options: RateLimitOptions): RateLimit {
  const { what, perWallet, perMesh, nowMs } = options;
  const counts = new Map<string, number>();
  let minute = 0;
  let total = 0;
  return {
    take(wallet) {
      const current = Math.floor(nowMs() / minuteMs);
      if (current !== minute) {
        minute = current;
        counts.clear();
        total = 0;
      }
      const count = counts.get(wallet) ?? 0;
      if (count >= perWallet || total >= perMesh) {
        const limit = count >= perWallet ? perWallet : perMesh;
        throw new DomainError("RATE_LIMITED", `at most ${limit} ${what} in a minute`, {
          metadata: { wallet, limit: String(limit), what: `${what} in a minute` },
          retryAfterMs: minuteMs - (nowMs() % minuteMs),
        });
      }
      counts.set(wallet, count + 1);
      total += 1;
    },
  };
}
