import { expect, it } from "vitest";
import type { CheckoutRecord } from "../order/record.ts";
import type { DueCheckout } from "../ports.ts";
import { startDueChecks } from "./due-checks.ts";

it("brings on what is due, and tells for how long what fails has been due", async () => {
  const [fine, stuck] = ["fine", "stuck"].map((intentId) => ({ intentId, overdueMs: 900_000 }));
  if (fine === undefined || stuck === undefined) throw new Error("there are two");
  const due: DueCheckout[][] = [[fine, stuck]];
  const settled: string[] = [];
  const failed: [DueCheckout | undefined, unknown][] = [];
  const error = new Error("Stripe refuses");
  const checks = startDueChecks({
    store: { claimDue: async () => due.shift() ?? [] },
    settler: {
      async settle(intentId) {
        if (intentId === "stuck") throw error;
        settled.push(intentId);
        return {} as CheckoutRecord;
      },
    },
    onError: (...told) => failed.push(told),
  });
  await expect.poll(() => [settled, failed]).toEqual([["fine"], [[stuck, error]]]);
  await checks.stop();
});
