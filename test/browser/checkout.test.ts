/**
 * Goal: what a shopper with a card is promised holds in a real browser. Method: a mesh of the test's own with its
 * simulator of Stripe, Chromium before its Envoy, and cards that pay, are declined, or have to ask the bank.
 */
import { readFile } from "node:fs/promises";
import { createClient } from "@connectrpc/connect";
import type { Browser, Request, Route } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Checkout, CheckoutState, PaymentMethod } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { keyFiles } from "../../cli/state/keys.ts";
import { contentSecurityPolicy } from "../../services/studio/site.ts";
import { browserMissing, keepScreenshot, openBrowser } from "../support/browser/browser.ts";
import { openStudio } from "../support/browser/studio-page.ts";
import { startMesh, type TestMesh } from "../support/mesh/mesh.ts";

const why = browserMissing === undefined ? "" : ` (skipped: ${browserMissing})`;

const confirm = /\/stripe-sim\/v1\/payment_intents\/\w+\/confirm$/;

describe.skipIf(browserMissing !== undefined)(`Cards in Studio, in Chromium${why}`, () => {
  let mesh: TestMesh;
  let browser: Browser;
  let url: string;

  beforeAll(async () => {
    // What a Checkout that restarts has missed comes again while the page still waits for it.
    const environment = { STRIPE_SIM_RETRY_MAX_MS: "1000" };
    [mesh, browser] = await Promise.all([startMesh({ environment }), openBrowser()]);
    url = `http://${mesh.address}/`;
  });
  afterAll(async () => {
    await browser?.close();
    await mesh?.stop();
  });

  /** What Checkout has of an order. */
  async function checkoutOf(intentId: string): Promise<Partial<Checkout>> {
    const client = createClient(CheckoutService, mesh.client().transport);
    const { checkout } = await client.getCheckout({ key: { case: "intentId", value: intentId } });
    return checkout ?? {};
  }

  it("buys the bundle by card: no balance is needed, the states come live, and the event too", async () => {
    const studio = await openStudio(browser, url);
    const { page } = studio;
    await studio.buyByCard("the bundle");
    await studio.state("AWAITING_PAYMENT");
    await page.getByText("Simulator", { exact: true }).waitFor();
    await keepScreenshot(page, "card-form");
    await studio.payWith("Pays");
    await studio.state("CLEARED");
    const intentId = await studio.cleared();
    await page.getByText("Told by the event stream").waitFor();
    await studio.eventsOf(intentId).getByText("Bought milk, eggs, and bread by card").waitFor();
    await keepScreenshot(page, "card-cleared");
    const { transitions, ...checkout } = await checkoutOf(intentId);
    expect(checkout).toMatchObject({
      amount: "750",
      paymentMethod: PaymentMethod.CARD,
      clearedIntentId: intentId,
    });
    const { CREATED, AWAITING_PAYMENT, PAID, CLEARED } = CheckoutState;
    expect(transitions?.map(({ toState }) => toState)).toEqual([
      CREATED,
      AWAITING_PAYMENT,
      PAID,
      CLEARED,
    ]);

    await page.getByRole("link", { name: "See the proof" }).click();
    await page.getByRole("heading", { name: "Checked in this browser" }).waitFor();
    expect(await page.locator('[data-ok="false"]').count()).toBe(0);
    await page.getByRole("link", { name: "Orders" }).click();
    const row = page.locator(`[data-order="${intentId}"]`);
    await row.locator('[data-state="CLEARED"]').waitFor();
    expect(await row.getByRole("link", { name: "Journal entry" }).getAttribute("href")).toBe(
      `#/journal/${intentId}`,
    );
    expect(studio.complaints).toEqual([]);
    await studio.close();
  });

  it("tells the bank's word of a declined card, and takes a better one for the same order", async () => {
    const studio = await openStudio(browser, url);
    const { page } = studio;
    await studio.buyByCard("milk");
    for (const [card, word] of [
      ["Is declined", "generic_decline"],
      ["Insufficient funds", "insufficient_funds"],
    ] as const) {
      await studio.payWith(card);
      await page.getByText(`PAYMENT_DECLINED ${word}`).waitFor();
    }
    await keepScreenshot(page, "card-declined");
    await studio.payWith("Pays");
    const checkout = await checkoutOf(await studio.cleared());
    expect(checkout).toMatchObject({ state: CheckoutState.CLEARED, purchases: [{}] });
    await studio.close();
  });

  it.each([
    ["Complete authentication", true],
    ["Fail authentication", false],
  ])(
    "goes to the bank's page where the card asks for it, and comes back: %s",
    async (button, passes) => {
      const studio = await openStudio(browser, url);
      const { page } = studio;
      await studio.buyByCard("eggs");
      await studio.payWith("Asks the bank first");
      await page.getByRole("heading", { name: "Simulated bank" }).waitFor();
      await page.getByRole("button", { name: button }).click();
      if (!passes) {
        await page
          .getByTestId("card-problem")
          .getByText("It was not confirmed with the bank.")
          .waitFor();
        await studio.payWith("Pays");
      }
      await studio.cleared();
      // What the bank's page has brought along is not left in the address.
      expect(page.url()).toMatch(/\/#\/orders\/[0-9a-f-]{36}$/);
      await studio.closeDialog();
      await page.getByTestId("orders").locator('[data-state="CLEARED"]').waitFor();
      await studio.close();
    },
  );

  it("sells several products in several quantities in one order, which clears at once", async () => {
    const studio = await openStudio(browser, url);
    const { page } = studio;
    await page.getByRole("button", { name: "Add milk" }).click();
    const shelf = page.locator('article[data-sku="MILK"]');
    await shelf.getByRole("button", { name: "One milk more" }).click();
    await page.getByRole("button", { name: "Add bread" }).click();
    await page.getByRole("button", { name: "Add the bundle" }).click();
    await page.reload(); // the basket stays
    await shelf.getByText("2", { exact: true }).waitFor();
    await studio.checkOut();
    await page.getByRole("dialog").getByTestId("total").filter({ hasText: "16.00 USD" }).waitFor();
    await page.getByRole("button", { name: "Pay by card" }).click();
    await studio.payWith("Pays");
    const intentId = await studio.cleared();
    const { items } = await checkoutOf(intentId);
    expect(items).toMatchObject([
      { sku: "MILK", quantity: 2, amount: "700" },
      { sku: "BREAD", quantity: 1, amount: "150" },
      { sku: "BUNDLE", quantity: 1, amount: "750" },
    ]);
    await studio.closeDialog();
    await page.getByText("Nothing in it yet.").waitFor();
    await studio.close();
  });

  it("keeps an order over a reload before its card is charged, and finishes it with the same payment", async () => {
    const studio = await openStudio(browser, url);
    const { page } = studio;
    await studio.buyByCard("bread");
    await page.route(confirm, () => undefined); // never answered
    const sent = page.waitForRequest(confirm);
    await studio.payWith("Pays");
    const first = (await sent).url();
    // Reload first: Chromium lets a held request go on when its route goes, and the card would be charged.
    await page.reload();
    await page.unroute(confirm);
    await page.getByText("is not paid, as far as this browser knows").waitFor();
    await keepScreenshot(page, "card-unfinished");
    await page.getByRole("button", { name: "Continue" }).click();
    const again = page.waitForRequest(confirm);
    await studio.payWith("Pays");
    expect((await again).url()).toBe(first);
    const checkout = await checkoutOf(await studio.cleared());
    expect(checkout).toMatchObject({ amount: "150", purchases: [{}] });
    await studio.close();
  });

  it("ends an order when the shopper pays another way, and no second one stays payable", async () => {
    const studio = await openStudio(browser, url);
    const { page } = studio;
    await studio.buyByCard("bread");
    const client = createClient(CheckoutService, mesh.client().transport);
    const newest = async () => (await client.listCheckouts({ pageSize: 1 })).checkouts[0];
    await page.getByRole("button", { name: "Pay another way" }).waitFor();
    const first = await newest();
    expect(first?.state).toBe(CheckoutState.AWAITING_PAYMENT);
    await page.getByRole("button", { name: "Pay another way" }).click();
    const balance = page.getByRole("button", { name: "Pay from balance" });
    // Studio offers the balance at once and reads it then: until it is known, nothing is short.
    await balance.getByText("You have 0.00 USD: 1.50 USD short").waitFor();
    expect(await balance.isDisabled()).toBe(true);
    await keepScreenshot(page, "balance-short");
    expect(await checkoutOf(first?.intentId ?? "")).toMatchObject({
      state: CheckoutState.CANCELLED,
    });
    expect((await newest())?.intentId).toBe(first?.intentId);
    await studio.close();
  });

  it("is not fooled by a lost answer of the card's: what was charged is not charged again", async () => {
    const studio = await openStudio(browser, url);
    const { page } = studio;
    await studio.buyByCard("bread");
    let confirmed = 0;
    await page.route(confirm, async (route) => {
      confirmed += 1;
      await route.fetch(); // it is charged, and nobody hears
      await route.abort("connectionreset");
    });
    await studio.payWith("Pays");
    await studio.cleared();
    expect(confirmed).toBe(1);
    await studio.close();
  });

  it("follows an order that is paid elsewhere, also after the stream to Checkout broke", async () => {
    const studio = await openStudio(browser, url);
    const { page } = studio;
    await studio.buyByCard("milk");
    await studio.state("AWAITING_PAYMENT");
    const held = new Promise<Request>((resolve) => {
      void page.route(confirm, async (route) => {
        resolve(route.request());
        await route.abort("connectionreset");
      });
    });
    await studio.payWith("Pays");
    const request = await held;
    await page.getByText("The card payments do not answer").waitFor();
    const again = page.waitForResponse(/CheckoutService\/WatchCheckout$/);
    mesh.kill("checkout");
    await again;
    const paid = await fetch(request.url(), {
      method: "POST",
      headers: { authorization: (await request.headerValue("authorization")) ?? "" },
      body: new URLSearchParams(request.postData() ?? ""),
    });
    expect(paid.status).toBe(200);
    await studio.state("CLEARED");
    await studio.close();
  });

  it("pays in Stripe's own form where the key is Stripe's, under a policy that lets in Stripe alone", async () => {
    const context = await browser.newContext();
    const simulated = await readFile(keyFiles(mesh.settings).stripe.publishableKey, "utf8");
    await context.route(url, (route) => answerWithStripe(route, simulated.trim()));
    await context.route("https://js.stripe.com/**", (route) =>
      route.fulfill({ contentType: "text/javascript", body: stripeStandIn(simulated.trim()) }),
    );
    const studio = await openStudio(browser, url, {}, context);
    const { page } = studio;
    await studio.checkOut("milk");
    await page.getByText("With Stripe").waitFor();
    await page.getByRole("button", { name: "Pay by card" }).click();
    await page.getByText("Stripe's form").waitFor();
    for (const [card, word] of [
      ["chargeDeclinedExpiredCard", "PAYMENT_DECLINED expired_card"],
      ["visa", "Told by the event stream"],
    ] as const) {
      await page.evaluate(`globalThis.standInCard = "${card}"`);
      await page.getByRole("button", { name: /^Pay .*USD by card$/ }).click();
      await page.getByText(word).waitFor();
    }
    await studio.cleared();
    expect(studio.complaints).toEqual([]);
    await studio.close();
  });

  it("says when an order is over before it is paid", async () => {
    const studio = await openStudio(browser, url);
    const { page } = studio;
    await page.getByRole("link", { name: "Orders" }).click();
    await page.getByText("No orders yet").waitFor();
    await page.goto(`${url}#/orders/019abcde-f012-7abc-9def-0123456789ab`);
    await page.getByText("There is no such order").waitFor();
    await studio.close();
  });
});

/** The page as a server with a key of Stripe's gives it. */
async function answerWithStripe(route: Route, simulatedKey: string): Promise<void> {
  const response = await route.fetch();
  const page = (await response.text())
    .replace(simulatedKey, "pk_test_51standIn")
    .replace("&quot;simulated&quot;:true", "&quot;simulated&quot;:false");
  const nonce = /nonce="([^"]+)"/.exec(page)?.[1] ?? "";
  const headers = {
    ...response.headers(),
    "content-security-policy": contentSecurityPolicy(nonce, true),
  };
  await route.fulfill({ response, body: page, headers });
}

/** Stands for Stripe.js: a form without fields, which pays at the simulator with the test card that the test names. */
const stripeStandIn = (simulatedKey: string) => `
window.Stripe = Object.assign(
  (key) => {
    if (key !== "pk_test_51standIn") throw new Error("another key");
    return {
      _registerWrapper() {},
      elements: ({ clientSecret }) => ({
        clientSecret,
        create: () => ({
          on: (event, listener) => event === "ready" && setTimeout(listener),
          mount: (place) => { place.textContent = "Stripe's form"; },
          destroy() {},
        }),
      }),
      async confirmPayment({ elements: { clientSecret }, confirmParams, redirect }) {
        if (redirect !== "if_required") throw new Error("a card stays on the page");
        const [id] = clientSecret.split("_secret_");
        const answer = await fetch("/stripe-sim/v1/payment_intents/" + id + "/confirm", {
          method: "POST",
          headers: { authorization: "Bearer ${simulatedKey}" },
          body: new URLSearchParams({
            client_secret: clientSecret,
            payment_method: "pm_card_" + globalThis.standInCard,
            return_url: confirmParams.return_url,
          }),
        });
        const body = await answer.json();
        return body.error ? { error: body.error } : { paymentIntent: body };
      },
    };
  },
  { version: "basil" },
);`;
