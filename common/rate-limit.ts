import { DomainError } from "./domain-error.ts";

/** How often something may happen in a minute, in this process: for one wallet, and for all together. */
export interface RateLimit {
  /** Throws RATE_LIMITED if the wallet, or all together, had their share of this minute. */
  check(wallet: string): void;
  /** Counts one of the wallet's. */
  count(wallet: string): void;
  /** Checks, and counts one. Throws RATE_LIMITED. */
  take(wallet: string): void;
  /** Takes back what was counted last: it happened before. */
  giveBack(wallet: string): void;
}

export interface RateLimitOptions {
  /** What is counted, in words that follow a number, such as "fundings in a minute". */
  readonly what: string;
  /** The most of one wallet in a minute. */
  readonly perWallet: number;
  /** The most of all wallets together. Default: no bound. */
  readonly inAll?: number;
  /** Epoch milliseconds. */
  readonly nowMs: () => number;
  /** The most wallets remembered; the one counted first is forgotten when there are more. */
  readonly walletsMax?: number;
}

const minuteMs = 60_000;

/** Counts in whole minutes of the clock: what is remembered is bounded, and starts anew with each. */
export function createRateLimit(options: RateLimitOptions): RateLimit {
  const { what, perWallet, nowMs } = options;
  const { inAll = Number.POSITIVE_INFINITY, walletsMax = 200_000 } = options;
  const counts = new Map<string, number>();
  let minute = 0;
  let total = 0;

  function countOf(wallet: string): number {
    const current = Math.floor(nowMs() / minuteMs);
    if (current !== minute) {
      minute = current;
      counts.clear();
      total = 0;
    }
    return counts.get(wallet) ?? 0;
  }

  function check(wallet: string): void {
    const isWalletOver = countOf(wallet) >= perWallet;
    if (!isWalletOver && total < inAll) return;
    const limit = isWalletOver ? perWallet : inAll;
    throw new DomainError("RATE_LIMITED", `at most ${limit} ${what}`, {
      metadata: { wallet, limit: String(limit), what },
      retryAfterMs: minuteMs - (nowMs() % minuteMs),
    });
  }

  function count(wallet: string): void {
    const counted = countOf(wallet) + 1;
    if (counted === 1 && counts.size >= walletsMax) forgetFirst(counts);
    counts.set(wallet, counted);
    total += 1;
  }

  return {
    check,
    count,
    take(wallet) {
      check(wallet);
      count(wallet);
    },
    giveBack(wallet) {
      const counted = countOf(wallet);
      if (counted === 0) return;
      counts.set(wallet, counted - 1);
      total -= 1;
    },
  };
}

function forgetFirst(counts: Map<string, number>): void {
  const first = counts.keys().next();
  if (!first.done) counts.delete(first.value);
}
