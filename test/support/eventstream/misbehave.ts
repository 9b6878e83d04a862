import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { newUuidV7 } from "#common/uuid.ts";
import { EntryState, PaymentMethod } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import type { CreateCheckoutResponse } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { keyFiles } from "../../../cli/state/keys.ts";
import { cards, newOrder, refusal, type Shopper, type ShopWorld } from "../checkout/shop-world.ts";

/** Everything that is refused, declined, given back, forged or garbled: what parts complain of, they log. */
export async function misbehave(world: ShopWorld, shopper: Shopper): Promise<void> {
  const { checkout, clearing } = world.house;
  const order = newOrder([{ sku: "MILK", quantity: 1 }], PaymentMethod.CARD);
  const created = await world.create(shopper, order);
  expect(await world.payByCard(created, cards.declines)).toBe("card_declined");
  // More often than anyone tries again.
  await command(world, "POST fail-calls", { kind: "error_500", times: 100 });
  expect(await refusal(world.create(shopper, order))).toBe("PAYMENTS_UNAVAILABLE");
  await command(world, "DELETE faults");
  for (const forgery of ["wrong_secret", "old_timestamp"]) {
    await command(world, "POST forge", { object: created.paymentIntentId, forgery });
  }
  await command(world, "POST idle", { timeout_ms: 10_000 });

  const paid = await world.buy(shopper, "BUNDLE", PaymentMethod.CARD);
  const named = { merchantId: paid.order.merchantId, orderId: paid.order.orderId };
  const items = [{ sku: "BUNDLE", quantity: 1 }];
  const ofOrder = () => ({ order: named, items, intentId: newUuidV7() });
  await checkout.fulfilCheckout(ofOrder());
  const { refund } = await checkout.refundCheckout(ofOrder());
  expect(refund?.state).toBe(EntryState.CLEARED);
  expect(await refusal(checkout.refundCheckout(ofOrder()))).toBe("NOT_REFUNDABLE");
  expect(await refusal(clearing.getClearing({ intentId: "secret?" }))).toBe("INVALID_FIELD");

  const { webhookSecret, secretKey } = keyFiles(world.mesh.settings).stripe;
  const webhook = `http://${world.mesh.address}/webhooks/stripe`;
  const signature = world.stripe.webhooks.generateTestHeaderString({
    payload: "{}",
    secret: readFileSync(webhookSecret, "utf8"),
  });
  for (const [body, header] of [
    ["{}", signature],
    ["{", signature],
    [readFileSync(secretKey, "utf8"), readFileSync(webhookSecret, "utf8")],
  ]) {
    const headers = { "stripe-signature": header ?? "" };
    const response = await fetch(webhook, { method: "POST", body: body ?? "", headers });
    world.overheard.errors.push(await response.text());
  }
  await badCredentials(world, created);
}

/** Tokens that are refused, and secrets where they do not belong. */
async function badCredentials(world: ShopWorld, created: CreateCheckoutResponse): Promise<void> {
  const token = await world.mesh.token({ seconds: -600 });
  world.overheard.secrets.add(token);
  const [paymentIntent = ""] = created.clientSecret.split("_secret_");
  const { stripe } = keyFiles(world.mesh.settings);
  const publishable = readFileSync(stripe.publishableKey, "utf8");
  const secret = `client_secret=${created.clientSecret}`;
  const method = "/sovr.checkout.v1.CheckoutService/ListProducts";
  for (const [path, credential] of [
    [method, token],
    [method, `${token}x`],
    [`${method}?token=${token}`, token],
    [`/stripe-sim/v1/payment_intents/${paymentIntent}?${secret}`, publishable],
    [`/stripe-sim/v1/payment_intents/${paymentIntent}?${secret}x`, publishable],
    [`/stripe-sim/v1/payment_intents?${secret}`, "sk_test_unknown"],
  ]) {
    const headers = { authorization: `Bearer ${credential}` };
    const response = await fetch(`http://${world.mesh.address}${path}`, { headers });
    if (!response.ok) world.overheard.errors.push(await response.text());
    else await response.arrayBuffer();
  }
  const call = await fetch(`${world.simulator}/v1/payment_intents/${paymentIntent}`, {
    headers: { authorization: `Bearer ${readFileSync(stripe.webhookSecret, "utf8")}` },
  });
  world.overheard.errors.push(await call.text());
}

/** A command to the simulator of Stripe. */
async function command({ simulator }: ShopWorld, command: string, body?: object): Promise<void> {
  const [method = "", name] = command.split(" ");
  const response = await fetch(`${simulator}/_sim/${name}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(await response.text());
}
