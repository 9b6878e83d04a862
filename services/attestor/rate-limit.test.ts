import { describe, expect, test } from "vitest";
import { zeroWallet } from "#common/address.ts";
import { alice, bob, testKey } from "../../test/support/intents/intents.ts";
import { createRateLimit } from "./rate-limit.ts";

function limitOf(perMinute: number, walletsMax?: number) {
  const clock = { ms: 600_000 };
  const options = { perMinute, nowMs: () => clock.ms };
  const limit = createRateLimit(walletsMax === undefined ? options : { ...options, walletsMax });
  const take = (wallet: string) => {
    limit.check(wallet);
    limit.count(wallet);
  };
  return { clock, limit, take };
}

describe("createRateLimit", () => {
  test("a wallet has its share of each minute, and is told when the next begins", () => {
    const { clock, take } = limitOf(2);
    clock.ms += 15_000;
    take(alice.address);
    take(alice.address);
    expect(() => take(alice.address)).toThrow(
      expect.objectContaining({
        kind: "RATE_LIMITED",
        metadata: { wallet: alice.address, limit: "2", what: "intents per wallet and minute" },
        retryAfterMs: 45_000,
      }),
    );
    take(bob.address);
    clock.ms += 45_000;
    take(alice.address);
  });

  test("a look takes nothing", () => {
    const { limit, take } = limitOf(1);
    limit.check(alice.address);
    limit.check(alice.address);
    take(alice.address);
    expect(() => limit.check(alice.address)).toThrow();
  });

  test("house entries are not counted", () => {
    const { take } = limitOf(1);
    for (let i = 0; i < 5; i += 1) take(zeroWallet);
  });

  test("remembers no more wallets than it may", () => {
    const { take } = limitOf(1, 2);
    take(alice.address);
    take(bob.address);
    take(testKey(3).address);
    expect(() => take(bob.address)).toThrow();
    expect(() => take(testKey(3).address)).toThrow();
    take(alice.address); // forgotten, for want of room
  });
});
