import { describe, expect, test } from "vitest";
import { alice, bob, testKey } from "../test/support/intents/intents.ts";
import { createRateLimit } from "./rate-limit.ts";

function limitOf(
  perWallet: number,
  bounds: { readonly inAll?: number; readonly walletsMax?: number } = {},
) {
  const clock = { ms: 600_000 };
  const what = "intents per wallet and minute";
  const limit = createRateLimit({ what, perWallet, nowMs: () => clock.ms, ...bounds });
  return { clock, limit, take: limit.take };
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

  test("all wallets together have their share of each minute too", () => {
    const { clock, limit, take } = limitOf(2, { inAll: 3 });
    take(alice.address);
    take(alice.address);
    take(bob.address);
    const carol = testKey(3).address;
    expect(() => take(carol)).toThrow(
      expect.objectContaining({
        kind: "RATE_LIMITED",
        metadata: { wallet: carol, limit: "3", what: "intents per wallet and minute" },
        retryAfterMs: 60_000,
      }),
    );
    limit.giveBack(bob.address);
    take(carol);
    expect(() => take(bob.address)).toThrow();
    clock.ms += 60_000;
    take(bob.address);
  });

  test("what is given back may be taken again, and no more than that", () => {
    const { limit, take } = limitOf(1);
    limit.giveBack(alice.address);
    take(alice.address);
    expect(() => take(alice.address)).toThrow();
    limit.giveBack(alice.address);
    take(alice.address);
    expect(() => take(alice.address)).toThrow();
  });

  test("remembers no more wallets than it may", () => {
    const { take } = limitOf(1, { walletsMax: 2 });
    take(alice.address);
    take(bob.address);
    take(testKey(3).address);
    expect(() => take(bob.address)).toThrow();
    expect(() => take(testKey(3).address)).toThrow();
    take(alice.address); // forgotten, for want of room
  });
});
