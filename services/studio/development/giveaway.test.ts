import { SigningKey } from "ethers/crypto";
import { hashMessage } from "ethers/hash";
import { computeAddress } from "ethers/transaction";
import { beforeEach, describe, expect, it } from "vitest";
import { createRateLimit } from "#common/rate-limit.ts";
import { createDevelopment, type Development, faucetMax, tokenSeconds } from "./giveaway.ts";

const key = new SigningKey(`0x${"11".repeat(32)}`);
const wallet = computeAddress(key);
const sign = (text: string, signer = key) => signer.sign(hashMessage(text)).serialized;
const startMs = 1_795_521_600_000;

describe("createDevelopment", () => {
  let development: Development;
  let timeMs: number;
  let funded: [string, bigint][];

  beforeEach(() => {
    timeMs = startMs;
    funded = [];
    const nowMs = () => timeMs;
    development = createDevelopment({
      signToken: async (to, expiresAtMs) => `${to} ${expiresAtMs}`,
      walletOf: async (token) => (token === "good" ? wallet : undefined),
      fund: async (to, amount) => {
        funded.push([to, amount]);
        return "an intent";
      },
      challenges: createRateLimit({
        what: "challenges in a minute",
        perWallet: 5,
        inAll: 9,
        nowMs,
      }),
      fundings: createRateLimit({
        what: "fundings in a minute",
        perWallet: 2,
        inAll: 3,
        nowMs,
      }),
      nowMs,
    });
  });

  it("gives a token of at most fifteen minutes to who signs the challenge", async () => {
    const { nonce, message } = development.challenge(wallet);
    expect(message).toContain(wallet);
    const token = await development.token(nonce, sign(message));
    expect(token).toEqual({
      token: `${wallet} ${startMs + 900_000}`,
      expiresAtMs: startMs + 900_000,
    });
    expect(tokenSeconds).toBeLessThanOrEqual(900);
  });

  it("takes a challenge once, whether it was answered right or wrong", async () => {
    const first = development.challenge(wallet);
    await development.token(first.nonce, sign(first.message));
    await expect(development.token(first.nonce, sign(first.message))).rejects.toThrow(/unknown/);
    const second = development.challenge(wallet);
    await expect(development.token(second.nonce, sign("something else"))).rejects.toThrow(
      /not the wallet's/,
    );
    await expect(development.token(second.nonce, sign(second.message))).rejects.toThrow(/unknown/);
  });

  it("refuses another wallet's signature, and a challenge that is a minute old", async () => {
    const other = new SigningKey(`0x${"22".repeat(32)}`);
    const first = development.challenge(wallet);
    await expect(development.token(first.nonce, sign(first.message, other))).rejects.toMatchObject({
      kind: "CREDENTIALS_INVALID",
      metadata: { rule: "signature" },
    });
    const second = development.challenge(wallet);
    timeMs += 60_000;
    await expect(development.token(second.nonce, sign(second.message))).rejects.toThrow(/too old/);
  });

  it("funds the wallet of a good token, within bounds, and now and then", async () => {
    await expect(development.fund("bad", 1n)).rejects.toMatchObject({
      kind: "CREDENTIALS_INVALID",
    });
    for (const amount of [0n, faucetMax + 1n]) {
      await expect(development.fund("good", amount)).rejects.toMatchObject({
        kind: "INVALID_FIELD",
      });
    }
    await development.fund("good", faucetMax);
    expect(await development.fund("good", 1n)).toEqual({ intentId: "an intent" });
    await expect(development.fund("good", 1n)).rejects.toMatchObject({
      kind: "RATE_LIMITED",
      retryAfterMs: 60_000,
    });
    timeMs += 60_000;
    await development.fund("good", 2n);
    expect(funded).toEqual([
      [wallet, faucetMax],
      [wallet, 1n],
      [wallet, 2n],
    ]);
  });

  it("bounds challenges for a wallet, and for all together", () => {
    for (let count = 0; count < 5; count += 1) development.challenge(wallet);
    expect(() => development.challenge(wallet)).toThrow("at most 5 challenges in a minute");
    const others = [1, 2, 3, 4].map((digit) => `0x${String(digit).repeat(40)}`);
    for (const other of others) development.challenge(other);
    expect(() => development.challenge(`0x${"5".repeat(40)}`)).toThrow("at most 9 challenges");
  });
});
