import { expect, it } from "vitest";
import { newUuidV7 } from "#common/uuid.ts";
import type { PaymentRefund } from "../ports.ts";
import { leftToReturn } from "./return-payment.ts";

const intentId = newUuidV7();

function refund(amount: bigint, status: PaymentRefund["status"], entryId = ""): PaymentRefund {
  return { id: `re_${amount}`, status, amount, currency: "usd", entryId };
}

it.each([
  ["all, before anything went back", [], 349n],
  ["what the dashboard has not given back", [refund(100n, "pending")], 249n],
  ["what the dashboard could not give back", [refund(100n, "failed")], 349n],
  ["nothing after ours", [refund(100n, "succeeded"), refund(249n, "pending", intentId)], 0n],
  [
    "what failed at the dashboard after ours",
    [refund(100n, "failed"), refund(249n, "succeeded", intentId)],
    100n,
  ],
  ["nothing by itself, once the card took none of ours", [refund(349n, "failed", intentId)], 0n],
])("is to give back %s", (_what, made, left) => {
  expect(leftToReturn({ intentId }, 349n, made)).toBe(left);
});
