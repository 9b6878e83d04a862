// Goal: faults come as commanded, and the same again for the same seed. Method: plans and calls, counted.
import { expect, test } from "vitest";
import { createFaults, type FaultSettings } from "./faults.ts";

function plans(settings: Partial<FaultSettings>, count: number, seed = 1) {
  const faults = createFaults(seed);
  faults.change(settings);
  return Array.from({ length: count }, () => faults.planDeliveries());
}

test("without faults every event goes once, at once and true", () => {
  expect(plans({}, 5)).toEqual(Array(5).fill([{ delayMs: 0, forgery: "" }]));
});

test("the same seed decides the same, another one otherwise", () => {
  const settings = { duplicates: 2, shuffle_ms: 500, drop_rate: 0.3, forge_rate: 0.5 };
  expect(plans(settings, 20, 7)).toEqual(plans(settings, 20, 7));
  expect(plans(settings, 20, 7)).not.toEqual(plans(settings, 20, 8));
});

test("rates are about what they say, and delays stay within bounds", () => {
  const all = plans(
    { duplicates: 1, drop_rate: 0.25, forge_rate: 0.5, shuffle_ms: 100 },
    1_000,
  ).flat();
  const forged = all.filter(({ forgery }) => forgery !== "").length;
  expect(forged).toBeGreaterThan(400);
  expect(forged).toBeLessThan(600);
  expect(all.length - forged).toBeGreaterThan(1_350);
  expect(all.length - forged).toBeLessThan(1_650);
  expect(all.every(({ delayMs }) => delayMs >= 0 && delayMs < 100)).toBe(true);
  const delayed = plans({ delay_ms: 5_000, delay_rate: 0.1 }, 1_000).flat();
  const late = delayed.filter(({ delayMs }) => delayMs === 5_000).length;
  expect(late).toBeGreaterThan(50);
  expect(late).toBeLessThan(150);
});

test("a fault of calls hits those it is for, as often as it says", () => {
  const faults = createFaults(1);
  faults.addApiFault({ kind: "cut_after", times: 2, rate: 1, method: "POST", path: "/v1/refunds" });
  expect(faults.takeApiFault("GET", "/v1/refunds")).toBeUndefined();
  expect(faults.takeApiFault("POST", "/v1/payment_intents")).toBeUndefined();
  expect(faults.takeApiFault("POST", "/v1/refunds")).toBe("cut_after");
  expect(faults.takeApiFault("POST", "/v1/refunds/re_1")).toBe("cut_after");
  expect(faults.takeApiFault("POST", "/v1/refunds")).toBeUndefined();
});
