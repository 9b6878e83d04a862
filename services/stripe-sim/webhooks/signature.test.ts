// Goal: signatures are Stripe's. Method: the official SDK makes the same and checks ours.
import { Stripe } from "stripe";
import { expect, test } from "vitest";
import { signWebhook } from "./signature.ts";

const stripe = new Stripe("sk_test_unused");
const payload = '{\n  "id": "evt_1",\n  "object": "event"\n}';

test("one secret signs as the SDK does", () => {
  const timestamp = 1_800_000_000;
  expect(signWebhook(payload, ["whsec_a"], timestamp)).toBe(
    stripe.webhooks.generateTestHeaderString({ payload, secret: "whsec_a", timestamp }),
  );
});

test("while a secret is rotated, both are taken and a third is not", () => {
  const header = signWebhook(payload, ["whsec_new", "whsec_old"], Math.floor(Date.now() / 1_000));
  for (const secret of ["whsec_new", "whsec_old"]) {
    expect(stripe.webhooks.constructEvent(payload, header, secret).id).toBe("evt_1");
  }
  expect(() => stripe.webhooks.constructEvent(payload, header, "whsec_other")).toThrow();
});
