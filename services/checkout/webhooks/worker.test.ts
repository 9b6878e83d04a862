import { describe, expect, it } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import { describeError, retryDelayMs, webhookTimes } from "./worker.ts";

describe("retryDelayMs", () => {
  it("doubles from attempt to attempt up to its bound, and is spread around it", () => {
    const middle = [1, 2, 3, 9, 10, 11, 1_000].map((n) => retryDelayMs(webhookTimes, n, 0.5));
    expect(middle).toEqual([2_000, 4_000, 8_000, 512_000, 900_000, 900_000, 900_000]);
    expect(retryDelayMs(webhookTimes, 1, 0)).toBe(1_500);
    expect(retryDelayMs(webhookTimes, 1, 1)).toBe(2_500);
  });

  it("outlasts an outage of half an hour, and gives up within two", () => {
    const sumOf = (random: number) =>
      Array.from({ length: webhookTimes.attemptsMax - 1 }, (_, index) =>
        retryDelayMs(webhookTimes, index + 1, random),
      ).reduce((sum, ms) => sum + ms, 0);
    expect(sumOf(0)).toBeGreaterThan(30 * 60_000);
    expect(sumOf(1)).toBeLessThan(120 * 60_000);
  });

  it("has a lease that outlasts an attempt", () => {
    expect(webhookTimes.leaseMs).toBeGreaterThan(webhookTimes.attemptMs);
  });
});

describe("describeError", () => {
  it("names the kind of a refusal, or the class of a fault", () => {
    const refusal = new DomainError("PAYMENTS_UNAVAILABLE", "card payments cannot be reached");
    expect(describeError(refusal)).toBe("PAYMENTS_UNAVAILABLE: card payments cannot be reached");
    expect(describeError(new RangeError("no"))).toBe("RangeError: no");
    expect(describeError("text")).toBe(": text");
  });

  it("keeps no secret, no line end, and no more than 512 characters", () => {
    const secrets = ["sk_test_a1B2", `rk_${"live"}_x`, "whsec_q+w/e", "pi_3Abc_secret_Xyz9"];
    const text = describeError(new Error(`${secrets.join("\n")} ${"é".repeat(600)}`));
    expect(text).toHaveLength(512);
    expect(text).toMatch(/^[ -~]*$/);
    for (const secret of ["a1B2", "live_x", "q+w", "w/e", "Xyz9"]) {
      expect(text).not.toContain(secret);
    }
  });
});
