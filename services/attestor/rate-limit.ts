import { zeroWallet } from "#common/address.ts";
import { DomainError } from "#common/domain-error.ts";

/** How many intents of a wallet are attested in a minute, by this process. House entries are not counted. */
export interface RateLimit {
  /** Throws RATE_LIMITED if the wallet has had its share of this minute. */
  check(wallet: string): void;
  /** Counts an intent of the wallet. */
  count(wallet: string): void;
  /** Takes back what was counted last: the intent was attested before. */
  giveBack(wallet: string): void;
}

export interface RateLimitOptions {
  /** The most intents of one wallet in a minute. */
  readonly perMinute: number;
  /** Epoch milliseconds. */
  readonly nowMs: () => number;
  /** The most wallets remembered; the one counted first is forgotten when there are more. */
  readonly walletsMax?: number;
}

const minuteMs = 60_000;

/** Counts in whole minutes of the clock: what is remembered is bounded, and starts anew with each. */
export function createRateLimit(options: RateLimitOptions): RateLimit {
  const { perMinute, nowMs, walletsMax = 200_000 } = options;
  const counts = new Map<string, number>();
  let minute = 0;

  const countOf = (wallet: string) => {
    const current = Math.floor(nowMs() / minuteMs);
    if (current !== minute) counts.clear();
    minute = current;
    return counts.get(wallet) ?? 0;
  };

  return {
    check(wallet) {
      if (wallet === zeroWallet || countOf(wallet) < perMinute) return;
      throw new DomainError("RATE_LIMITED", `at most ${perMinute} intents per wallet and minute`, {
        metadata: { wallet, limit: String(perMinute), what: "intents per wallet and minute" },
        retryAfterMs: minuteMs - (nowMs() % minuteMs),
      });
    },
    count(wallet) {
      if (wallet === zeroWallet) return;
      const count = countOf(wallet) + 1;
      if (count === 1 && counts.size >= walletsMax) forgetFirst(counts);
      counts.set(wallet, count);
    },
    giveBack(wallet) {
      const count = countOf(wallet);
      if (count > 0) counts.set(wallet, count - 1);
    },
  };
}

function forgetFirst(counts: Map<string, number>): void {
  const first = counts.keys().next();
  if (!first.done) counts.delete(first.value);
}
